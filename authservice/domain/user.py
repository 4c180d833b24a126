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
    user, so that older ones can be told. `secret_generation` grows with each change of what proves the user, so that
    what was proved or handed out before it counts no longer. `password_expires_at` says until when a one-time password
    may be replaced, and is None for a password that the user has chosen. `locale` is a
    language tag. `erase_at` is when the account is to be erased, if that was asked for. Times are UTC in microseconds.
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
    password_expires_at: datetime | None = None
    display_name: str | None = None
    locale: str | None = None
    erase_at: datetime | None = None

    @property
    def is_active(self) -> bool:
        """Whether the user may log in and hold sessions."""
        return self.disabled_at is None

    @property
    def has_one_time_password(self) -> bool:
        """Whether the password has to be replaced before anything else."""
        return self.password_expires_at is not None

    def has_password(self, now: datetime) -> bool:
        """Tell whether the password proves anything at `now`: one-time passwords expire."""
        return self.password_expires_at is None or now < self.password_expires_at

    def is_due(self, now: datetime) -> bool:
        """Tell whether nothing keeps the account from being erased any more."""
        return self.erase_at is not None and self.erase_at <= now

    def is_same_registration(self, other: "User") -> bool:
        """Tell whether `other` is this account, or was sent to become it with the same idempotency key."""
        return self.id == other.id or (
            self.registration_key is not None and self.registration_key == other.registration_key
        )


@dataclass(frozen=True, slots=True)
class AccountDetails:
    """An account as its owner sees it."""

    user: User
    is_email_confirmed: bool


@dataclass(frozen=True, slots=True)
class NewPassword:
    """What is stored of a password that is set. `expires_at` is None unless it is a one-time password."""

    hash: str = field(repr=False)
    expires_at: datetime | None = None


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
