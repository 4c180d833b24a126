"""What one stream of WatchRevocations tells, taken over into the knowledge as docs/local-verification.md says."""

from authapi.v1 import trust_service_pb2 as api

from authclient.key_sets import SHARED_SECRET_ID, KeySetRefused, load_key_set
from authclient.keys import VerificationKey
from authclient.knowledge import Knowledge, View, seconds
from authclient.observer import Observer, contain


class Incomplete(Exception):
    """The server knows of a rule that is not known here. The stream is to be opened anew, from the start."""


class Intake:
    """Takes the answers of one stream, in order.

    Args:
        secret: the key that tokens are signed with where the authentication service signs with a shared secret.
        opened_at: local monotonic time before the stream was opened.
    """

    def __init__(
        self, knowledge: Knowledge, secret: VerificationKey | None, opened_at: float, observer: Observer
    ) -> None:
        self._knowledge = knowledge
        self._secret = secret
        self._opened_at = opened_at
        self._observer = observer
        self._draft = View()
        self._has_keys = False
        self._uptime_offset = 0.0  # Added to the server's uptime, it gives the local monotonic time, at the earliest.

    def take(self, answer: api.WatchRevocationsResponse) -> bool:
        """Take an answer. Tells whether the view is complete with it. Raises Incomplete."""
        if answer.HasField("open_uptime"):
            self._uptime_offset = self._opened_at - seconds(answer.open_uptime)
        if answer.HasField("key_set"):
            self._has_keys = self._take_keys(answer.key_set)
        view = self._knowledge.view if answer.part == api.WATCH_PART_DELTA else self._draft
        for rule in answer.revocations:
            view.add(rule)
        if answer.part == api.WATCH_PART_SNAPSHOT:
            return False
        read_time = seconds(answer.read_time)
        view.drop_expired(read_time)
        if view.rule_count != answer.rule_count:
            raise Incomplete(f"{answer.rule_count} rules are expected, {view.rule_count} are there")
        self._knowledge.view, self._draft = view, View()
        complete_at = self._uptime_offset + seconds(answer.read_uptime)
        self._knowledge.complete(read_time, complete_at, keys=self._has_keys)
        return True

    def _take_keys(self, key_set: api.KeySet) -> bool:
        """Take over a key set if it is good. Tells whether it is."""
        try:
            keys = load_key_set(key_set, self._knowledge.keys)
        except KeySetRefused as refused:
            contain(self._observer.key_set_refused, str(refused))
            return False
        if key_set.is_shared_secret and self._secret:
            keys = {SHARED_SECRET_ID: self._secret}
        self._knowledge.keys = keys
        self._knowledge.is_shared_secret = key_set.is_shared_secret and not self._secret
        return True


def is_news(answer: api.WatchRevocationsResponse) -> bool:
    """Tell whether an answer may change what any token is worth."""
    return answer.part != api.WATCH_PART_DELTA or bool(answer.revocations) or answer.HasField("key_set")
