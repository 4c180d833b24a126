"""The cases that the verifiers of all languages have to pass, through the interceptor itself."""

import json
import math
import time
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from authapi.v1 import auth_service_pb2 as auth_api
from authapi.v1 import rule_pb2
from authapi.v1 import trust_service_pb2 as trust_api
from authclient import AuthInterceptor, Observer, Refused, find_identity, reason_of
from authclient._judging.judge import Judge
from authclient._judging.knowledge import Knowledge
from authclient._judging.rules import RuleRejected, read_rule
from authclient._judging.verified import Ask, Verified
from authclient._tokens.key_sets import KeySetRefused, load_key_set
from google.protobuf.json_format import ParseDict

from tests.clients.protos import service_file
from tests.vectors.reading import FOLDER, read_vectors

VECTORS = read_vectors()
REFUSALS: dict[str, tuple[str, str]] = json.loads((FOLDER / "refusals.json").read_text(encoding="ascii"))
METHOD = "/shop.v1.Shop/Buy"


class Aborted(Exception):
    """What grpc raises to unwind a call."""


class Context:
    """What a handler would be given."""

    def __init__(self, metadata: list[tuple[str, str]]) -> None:
        self._metadata = tuple(metadata)
        self.code, self.details, self.trailing_metadata = grpc.StatusCode.OK, "", ()

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        return self._metadata

    def time_remaining(self) -> float:
        return 10.0

    def set_trailing_metadata(self, metadata: Any) -> None:
        self.trailing_metadata = metadata

    def abort(self, code: grpc.StatusCode, details: str) -> None:
        self.code, self.details = code, details
        raise Aborted


class Recorder(Observer):
    """Keeps would-be refusals."""

    def __init__(self) -> None:
        self.observed: str | None = None

    def refused(self, method: str, reason: str, *, enforced: bool) -> None:
        if not enforced:
            self.observed = reason


class Told:
    """An authority that knows what a case says, and asks whom the case says."""

    following = None
    patience = 0.0
    is_ready = True
    monotonic = staticmethod(time.monotonic)

    def __init__(self, case: dict[str, Any]) -> None:
        self._answer = case.get("verify")
        self.was_asked = False
        self.recorder = Recorder()
        self.observer: Observer = self.recorder
        self._knowledge = Knowledge(monotonic=lambda: 0.0, clock=lambda: float(case["now"]))
        self.judge = Judge(self._knowledge, VECTORS.issuer, VECTORS.audience)
        view_age, keys = case["view_age"], case["keys"]
        if view_age is not None:
            read_time = case["now"] - view_age
            for rule in case.get("revocations", ()):
                self._knowledge.view.add(ParseDict(rule, trust_api.Revocation()))
            self._knowledge.view.drop_expired(read_time)
            self._knowledge.complete(read_time, -view_age, keys=False)
        if keys is not None:
            key_set = ParseDict(VECTORS.key_sets[keys], trust_api.KeySet())
            self._knowledge.keys = load_key_set(key_set)
            self._knowledge.is_shared_secret = key_set.is_shared_secret
            self._knowledge._keys_at = -case.get("key_age", view_age or 0)

    def view_age(self) -> float:
        return self._knowledge.view_age()

    def wait_until_ready(self, timeout: float) -> bool:
        return True

    async def until_ready(self, timeout: float) -> bool:
        return True

    def listen(self, listener: Callable[[], None]) -> None: ...

    def ask(self, question: Ask, timeout: float) -> Verified:
        self.was_asked = True
        assert self._answer is not None, "this case can be decided without asking"
        if "identity" in self._answer:
            return question.settle(ParseDict(self._answer["identity"], auth_api.Identity()))
        raise Refused(self._answer.get("reason", "VERIFICATION_UNAVAILABLE"))

    async def ask_async(self, question: Ask, timeout: float) -> Verified:
        return self.ask(question, timeout)


def call(case: dict[str, Any]) -> dict[str, Any]:
    """Make the call of a case and return what came of it, as the case would expect it."""
    rule = None if case["rule"] is None else ParseDict(case["rule"], rule_pb2.Rule())
    authority = Told(case)
    interceptor = AuthInterceptor(authority, service_file(Buy=rule))
    who: list[Any] = []
    handler = interceptor.intercept_service(
        lambda _: grpc.unary_unary_rpc_method_handler(lambda _request, context: who.append(find_identity(context))),
        type("Details", (), {"method": METHOD, "invocation_metadata": ()})(),
    )
    assert handler is not None
    assert handler.unary_unary is not None
    if "metadata" in case:
        metadata = [(key, value) for key, value in case["metadata"]]
    else:
        metadata = [("authorization", f"Bearer {case['token']}")] if "token" in case else []
    context = Context(metadata)
    try:
        handler.unary_unary(b"", context)  # type: ignore[arg-type]
    except Aborted:
        assert who == []
    found = {"status": context.code.name}
    if reason := reason_of(context.trailing_metadata):
        found["reason"] = reason
        words = case["expect"].get("words")
        assert context.details == REFUSALS[words or reason][1], "words"
        found |= {"words": words} if words else {}
    if who and who[0]:
        found["user_id"] = who[0].user_id
    if authority.recorder.observed:
        found["observed"] = authority.recorder.observed
    assert authority.was_asked == ("verify" in case), "asking"
    return found


def failures(check: Callable[[dict[str, Any]], None], cases: list[dict[str, Any]]) -> list[str]:
    """Return the names of the cases that fail, with why."""
    assert cases
    failed = []
    for case in cases:
        try:
            check(case)
        except AssertionError as error:
            failed.append(f"{case['name']}: {str(error).splitlines()[0]}")
    return failed


def as_expected(case: dict[str, Any]) -> None:
    """Fail unless a call ends as its case says."""
    expected = {name: value for name, value in case["expect"].items() if value is not None}
    found = call(case)
    assert found == expected, f"{found} instead of {expected}"


CHECKS = sorted({check for case in VECTORS.cases for check in case["checks"]})


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("check", CHECKS)
def test_the_interceptor_decides_as_the_vectors_say(check: str) -> None:
    cases = [case for case in VECTORS.cases if check in case["checks"]]
    assert failures(as_expected, cases) == []


def test_the_vectors_speak_of_every_reason_and_every_check() -> None:
    assert {f"T{number}" for number in range(1, 12)} <= set(CHECKS)
    reasons = {case["expect"].get("reason") for case in VECTORS.cases}
    assert len(reasons) >= 11
    assert math.inf not in reasons


def test_t2_a_key_set_is_taken_or_refused_as_a_whole() -> None:
    def check(case: dict[str, Any]) -> None:
        key_set = ParseDict(case["key_set"], trust_api.KeySet())
        try:
            load_key_set(key_set)
            why = ""
        except KeySetRefused as refused:
            why = str(refused)
        assert case["accepted"] == (not why), why or "it was accepted"

    assert failures(check, VECTORS.key_set_cases) == []


def test_a_rule_makes_sense_or_is_refused() -> None:
    def check(case: dict[str, Any]) -> None:
        try:
            read_rule(ParseDict(case["rule"], rule_pb2.Rule()))
            why = ""
        except RuleRejected as rejected:
            why = str(rejected)
        assert case["accepted"] == (not why), why or "it was accepted"

    assert failures(check, VECTORS.rule_cases) == []
