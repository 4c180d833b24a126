"""What one stream of WatchRevocations tells, taken over into the knowledge as docs/local-verification.md says."""

from collections.abc import Callable

from authapi.v1 import trust_service_pb2 as api

from authclient._judging.knowledge import Knowledge, View
from authclient._judging.observer import Observer, contain
from authclient._tokens.key_sets import SHARED_SECRET_ID, KeySetRefused, load_key_set
from authclient._tokens.keys import VerificationKey
from authclient._wire.times import seconds

MOST_DRIFT = 1.0
"""Seconds that two monotonic clocks may have drifted apart in the life of a stream."""
_PARTS = frozenset(api.WatchPart.values()) - {api.WATCH_PART_UNSPECIFIED}


class Incomplete(Exception):
    """What is known here is not all, or makes no sense. The stream is to be opened anew, from the start."""


class Intake:
    """Takes the answers of one stream, in order.

    Args:
        secret: the key that tokens are signed with where the authentication service signs with a shared secret.
        opened_at: local monotonic time before the stream was opened.
        monotonic: the clock of that time.
    """

    def __init__(
        self,
        knowledge: Knowledge,
        secret: VerificationKey | None,
        opened_at: float,
        monotonic: Callable[[], float],
        observer: Observer,
    ) -> None:
        self._knowledge = knowledge
        self._secret = secret
        self._opened_at = opened_at
        self._monotonic = monotonic
        self._observer = observer
        self._draft = View()
        self._has_keys = False
        # Added to the server's uptime, it gives the local monotonic time, at the earliest.
        self._uptime_offset: float | None = None

    def take(self, answer: api.WatchRevocationsResponse) -> bool:
        """Take an answer. Tells whether the view is complete with it. Raises Incomplete."""
        if answer.part not in _PARTS:
            raise Incomplete(f"an answer is of the unknown part {answer.part}")
        if self._uptime_offset is None:
            if not answer.HasField("open_uptime"):
                raise Incomplete("the first answer does not say when the stream was opened")
            self._uptime_offset = self._opened_at - seconds(answer.open_uptime)
        if answer.HasField("key_set"):
            self._has_keys = self._take_keys(answer.key_set)
        complete_at = self._moment(self._uptime_offset + seconds(answer.read_uptime))
        view = self._knowledge.view if answer.part == api.WATCH_PART_DELTA else self._draft
        for rule in answer.revocations:
            if not view.add(rule):
                raise Incomplete("a rule is about nobody")
        if answer.part == api.WATCH_PART_SNAPSHOT:
            return False
        read_time = seconds(answer.read_time)
        view.drop_expired(read_time)
        if view.rule_count != answer.rule_count:
            raise Incomplete(f"{answer.rule_count} rules are expected, {view.rule_count} are there")
        self._knowledge.view, self._draft = view, View()
        self._knowledge.complete(read_time, complete_at, keys=self._has_keys)
        return True

    def _moment(self, complete_at: float) -> float:
        """Return when the server read what an answer says, by the local clock. Raises Incomplete if that is to come."""
        now = self._monotonic()
        if complete_at > now + MOST_DRIFT:
            raise Incomplete("an answer was read later than it arrived")
        return min(complete_at, now)

    def _take_keys(self, key_set: api.KeySet) -> bool:
        """Take over a key set if it is good. Tells whether it is."""
        try:
            keys = load_key_set(key_set, self._knowledge.keys)
        except KeySetRefused as refused:
            contain(self._observer.key_set_refused, str(refused))
            return False
        if key_set.is_shared_secret and self._secret:
            keys = {SHARED_SECRET_ID: self._secret}
        is_shared_secret = key_set.is_shared_secret and not self._secret
        # While both are being changed, a token that may be good is to be asked about.
        self._knowledge.is_shared_secret = self._knowledge.is_shared_secret or is_shared_secret
        self._knowledge.keys = keys
        self._knowledge.is_shared_secret = is_shared_secret
        return True


def is_news(answer: api.WatchRevocationsResponse) -> bool:
    """Tell whether an answer may change what any token is worth."""
    return answer.part != api.WATCH_PART_DELTA or bool(answer.revocations) or answer.HasField("key_set")
