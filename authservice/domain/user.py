"""Users and their names."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class UserName:
    """A user name as it was typed, and the canonical form that decides which names are the same."""

    typed: str
    canonical: str


@dataclass(frozen=True, slots=True)
class User:
    """One account.

    `email` is canonical and may be None. `registration_key` is the SHA-256 of the idempotency key that created the
    account, if there was one. `roles` are sorted. `generation` grows with each change of what tokens say about the
    user, so that older ones can be told; `secret_generation` with each change of what proves them, which makes void
    whatever waits for a proof. Times are UTC in microseconds.
    """

    id: UUID
    name: UserName
    email: str | None
    password_hash: str = field(repr=False)
    created_at: datetime
    registration_key: bytes | None = field(default=None, repr=False)
    disabled_at: datetime | None = None
    generation: int = 0
    roles: tuple[str, ...] = ()
    secret_generation: int = 0

    @property
    def is_active(self) -> bool:
        """Whether the user may log in and hold sessions."""
        return self.disabled_at is None

    def is_same_registration(self, other: "User") -> bool:
        """Tell whether `other` is this account, or was sent to become it with the same idempotency key."""
        return self.id == other.id or (
            self.registration_key is not None and self.registration_key == other.registration_key
        )


@dataclass(frozen=True, slots=True)
class UserSummary:
    """A user as an operator's list shows them."""

    id: UUID
    name: str
    email: str | None
    created_at: datetime
    disabled_at: datetime | None
    live_sessions: int
    roles: tuple[str, ...]
