"""A watcher that does what docs/local-verification.md says, and fails the test when the server does not."""

import contextlib
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import grpc
from authapi.v1 import trust_service_pb2 as api
from authapi.v1 import trust_service_pb2_grpc as rpc
from authclient import NEVER_RESENT
from sqlalchemy import Engine, insert
from uuid6 import uuid7

from authservice.storage.tables.trust import revocations
from tests.observed import Refusal

SECONDS = 20.0
"""How long a test waits for anything before it fails."""
OWN_CONNECTION = (("grpc.use_local_subchannel_pool", 1), *NEVER_RESENT)


class Watch:
    """One stream on a connection of its own. Keeps rules, drops what has expired, and counts at each complete view."""

    def __init__(self, port: int, resume_point: api.ResumePoint | None = None, seconds: float = SECONDS) -> None:
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=OWN_CONNECTION)
        self.rules: dict[object, api.Revocation] = {}
        self.answers: list[api.WatchRevocationsResponse] = []
        self._incoming: dict[object, api.Revocation] = {}
        self.begin = time.monotonic()
        stub = rpc.TrustServiceStub(self.channel)
        self.call: Any = stub.WatchRevocations(api.WatchRevocationsRequest(resume_point=resume_point), timeout=seconds)

    def close(self) -> None:
        """Hang up."""
        self.call.cancel()
        self.channel.close()

    def hear(self) -> api.WatchRevocationsResponse:
        """Return the next answer, once it has been applied and counted. Raises grpc.RpcError when the stream ends."""
        answer: api.WatchRevocationsResponse = next(self.call)
        is_first = not self.answers
        self.answers.append(answer)
        assert answer.part in api.WatchPart.values()[1:]
        assert is_first == answer.HasField("open_uptime")
        assert answer.HasField("key_set") or not is_first
        rules = {key_of(rule): rule for rule in answer.revocations}
        if answer.part == api.WATCH_PART_DELTA:
            self.rules |= rules
        else:
            assert len(answer.revocations) <= 500
            self._incoming |= rules
        if answer.part == api.WATCH_PART_SNAPSHOT:
            assert not answer.rule_count
            return answer
        if answer.part == api.WATCH_PART_SNAPSHOT_END:
            self.rules, self._incoming = self._incoming, {}
        read_time = answer.read_time.ToDatetime(UTC)
        self.rules = {key: rule for key, rule in self.rules.items() if rule.expire_time.ToDatetime(UTC) > read_time}
        assert len(self.rules) == answer.rule_count, "a watcher that counts otherwise has missed one"
        return answer

    def hear_view(self) -> list[api.WatchRevocationsResponse]:
        """Return the answers up to the first complete view."""
        while not self.answers or self.answers[-1].part == api.WATCH_PART_SNAPSHOT:
            self.hear()
        return self.answers

    def hear_until(self, condition: Callable[[], object]) -> api.WatchRevocationsResponse:
        """Return the answer that makes a condition true."""
        answer = self.hear()
        while not condition():
            answer = self.hear()
        return answer

    def ended(self) -> Refusal:
        """Return how the stream ended, after all that was on its way."""
        try:
            while True:
                self.hear()
        except grpc.RpcError as error:
            refusal = Refusal(error)
            assert refusal.code is not grpc.StatusCode.UNKNOWN, refusal.message
            return refusal

    @property
    def sessions(self) -> set[str]:
        """The sessions that are known to be over."""
        return {rule.session_id for rule in self.rules.values() if rule.session_id}

    @property
    def point(self) -> api.ResumePoint:
        """Where to resume."""
        return self.answers[-1].resume_point

    @property
    def age(self) -> float:
        """How old the view is now, computed without comparing clocks."""
        read, opened = (seconds(self.answers[-1].read_uptime), seconds(self.answers[0].open_uptime))
        return (time.monotonic() - self.begin) - (read - opened)


@contextlib.contextmanager
def watching(port: int, resume_point: api.ResumePoint | None = None) -> Iterator[Watch]:
    """Yield a watch, and hang up."""
    watch = Watch(port, resume_point)
    try:
        yield watch
    finally:
        watch.close()


def key_of(rule: api.Revocation) -> object:
    """Return what makes a rule different from others."""
    if rule.WhichOneof("subject") == "session_id":
        return rule.session_id
    return rule.outdated_tokens.user_id, rule.outdated_tokens.min_generation


def seconds(duration: Any) -> float:
    """Return a Duration in seconds."""
    return float(duration.ToTimedelta().total_seconds())


def add_rules(engine: Engine, count: int, now: datetime | None = None) -> list[UUID]:
    """Write rules about sessions into the log, in one transaction, and return the sessions."""
    subjects: list[UUID] = [uuid7() for _ in range(count)]
    end = (now or datetime.now(UTC)) + timedelta(minutes=15)
    rows = [{"subject": subject, "min_generation": 0, "token_end": end} for subject in subjects]
    with engine.begin() as connection:
        connection.execute(insert(revocations), rows)
    return subjects
