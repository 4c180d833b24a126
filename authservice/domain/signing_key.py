"""The life of a signing key: pending, active, retired, removed.

A pending key is published and signs nothing, so that every verifier knows it before its first token appears. The active
key signs. A retired key verifies what it signed until the last of those tokens has expired; then it is removed. There
is always one active and one pending key.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum


class KeyState(Enum):
    """Where a signing key stands in its life. A removed key has no row."""

    PENDING = "pending"
    ACTIVE = "active"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One signing key. `sealed_private` is encrypted under the master key; `public` is SubjectPublicKeyInfo in DER."""

    kid: str
    alg: str
    state: KeyState
    public: bytes
    sealed_private: bytes = field(repr=False)
    created_at: datetime
    activated_at: datetime | None = None
    retired_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RotationPlan:
    """When keys move on.

    `publish_for` is how long a key is pending at least, longer than any server keeps its copy of the key set.
    `keep_for` is how long a retired key verifies, longer than any access token lives.
    `rotate_after` is the age at which an active key is replaced.
    """

    publish_for: timedelta = timedelta(seconds=60)
    keep_for: timedelta = timedelta(minutes=20)
    rotate_after: timedelta = timedelta(days=30)

    def is_due(self, active: SigningKey, now: datetime) -> bool:
        """Tell whether the active key has signed for long enough."""
        return active.activated_at is not None and now >= active.activated_at + self.rotate_after

    def may_activate(self, pending: SigningKey, now: datetime) -> bool:
        """Tell whether every server has had time to learn the pending key."""
        return now >= pending.created_at + self.publish_for

    def may_remove(self, key: SigningKey, now: datetime) -> bool:
        """Tell whether no token signed by this key can still be alive."""
        return key.state is KeyState.RETIRED and key.retired_at is not None and now >= key.retired_at + self.keep_for
