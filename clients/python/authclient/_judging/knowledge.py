"""What this process knows of keys and revocations, and how old that is.

Ages are told by the monotonic clock of this machine and that of the server, each compared with itself only, so neither
a clock that is wrong nor an answer that waited in a buffer makes anything look younger than it is.
"""

import math
import time
from collections.abc import Callable, Mapping

from authapi.v1 import trust_service_pb2 as api

from authclient._tokens.keys import VerificationKey
from authclient._wire.times import MONOTONIC

_Key = tuple[str, int]


class View:
    """The rules about revoked tokens. Changed by one thread, read by any."""

    def __init__(self) -> None:
        self.sessions: set[str] = set()
        """Ids of sessions all of whose tokens are over."""
        self.generations: dict[str, int] = {}
        """The lowest generation of tokens that counts, by the id of the user."""
        self._keys: set[_Key] = set()
        self._generations_of: dict[str, set[int]] = {}
        self._expiring: dict[int, list[_Key]] = {}

    @property
    def rule_count(self) -> int:
        """How many rules there are."""
        return len(self._keys)

    def add(self, rule: api.Revocation) -> bool:
        """Take a rule; one that is known changes nothing. Tells whether it is a rule at all."""
        outdated = rule.outdated_tokens
        key = (outdated.user_id, outdated.min_generation) if outdated.user_id else (rule.session_id, 0)
        if not key[0] or (outdated.user_id and outdated.min_generation <= 0):
            return False
        if key in self._keys:
            return True
        self._keys.add(key)
        self._expiring.setdefault(rule.expire_time.seconds, []).append(key)
        if outdated.user_id:
            self._generations_of.setdefault(key[0], set()).add(key[1])
            self.generations[key[0]] = max(key[1], self.generations.get(key[0], 0))
        else:
            self.sessions.add(key[0])
        return True

    def drop_expired(self, now: float) -> None:
        """Forget the rules whose time is over at `now`, in seconds since the epoch by the server's clock."""
        for moment in [moment for moment in self._expiring if moment <= now]:
            for key in self._expiring.pop(moment):
                self._forget(key)

    def _forget(self, key: _Key) -> None:
        self._keys.remove(key)
        subject, generation = key
        if not generation:
            self.sessions.discard(subject)
            return
        left = self._generations_of[subject]
        left.remove(generation)
        if left:
            self.generations[subject] = max(left)
        else:
            del self.generations[subject], self._generations_of[subject]


class Knowledge:
    """Everything that calls are judged by, beside their rule. Changed by one thread, read by any.

    Attributes:
        monotonic: the clock that ages are told by.
        keys: the key set by key id.
        is_shared_secret: whether tokens are signed with a secret that the service does not give away.
        view: the rules about revoked tokens.
    """

    def __init__(self, monotonic: Callable[[], float] = MONOTONIC, clock: Callable[[], float] = time.time) -> None:
        self.monotonic = monotonic
        self._clock = clock
        self.keys: Mapping[str, VerificationKey] = {}
        self.is_shared_secret = False
        self.view = View()
        self._complete_at = -math.inf
        self._keys_at = -math.inf
        self._server_time: float | None = None

    def find_key(self, kid: str) -> VerificationKey | None:
        """Return the key with this id."""
        return self.keys.get(kid)

    def view_age(self) -> float:
        """Return how many seconds ago the view was complete; infinite if it never was."""
        return self.monotonic() - self._complete_at

    def key_age(self) -> float:
        """Return how many seconds ago the key set was known to be the current one."""
        return self.monotonic() - self._keys_at

    def now(self) -> float:
        """Return the time by the server's clock, in seconds since the epoch."""
        if self._server_time is None:
            return self._clock()  # The server's is not known yet.
        return self._server_time + self.monotonic()

    def complete(self, read_time: float, complete_at: float, *, keys: bool) -> None:
        """Note that the view was complete when the monotonic clock said `complete_at` and the server's `read_time`.

        Args:
            keys: whether the key set was the current one, too.
        """
        self._complete_at = complete_at
        self._server_time = read_time - complete_at
        if keys:
            self._keys_at = complete_at
