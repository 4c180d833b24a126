"""What stories about accounts, sessions and tokens need."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from authservice.domain.check import Check
from authservice.domain.deadline import Deadline
from authservice.domain.session import Session, SessionEnd, Standing
from authservice.domain.signing_key import SigningKey
from authservice.domain.tokens import Identity, RefreshToken
from authservice.domain.user import User, UserName, UserSummary


class Users(Protocol):
    """Accounts."""

    def add(self, user: User) -> User:
        """Keep a new account and return it as stored.

        A user with this id that is already there is returned unchanged, so that the transaction may be repeated. An
        e-mail address that another account has claimed stays with that account. Raises UserNameTaken.
        """

    def by_name(self, canonical: str) -> User | None:
        """Return the account with this canonical name."""

    def by_email(self, email: str) -> User | None:
        """Return the account that has claimed this canonical address."""

    def by_id(self, user_id: UUID) -> User | None:
        """Return the account with this id."""

    def lock(self, user_id: UUID) -> User | None:
        """Return the account as it is now and keep others from changing it until the transaction ends."""

    def replace_password_hash(self, user_id: UUID, old: str, new: str) -> bool:
        """Replace the hash if it is still `old`. Tells whether it was."""

    def set_disabled(self, user_id: UUID, at: datetime | None) -> None:
        """Disable the account since `at`, or enable it with None."""

    def grant(self, user_id: UUID, role: str, now: datetime) -> bool:
        """Give the user a role. Tells whether they did not have it."""

    def roles(self) -> dict[str, int]:
        """Return every role that somebody has, and how many accounts have it, in the order of names."""

    def take(self, user_id: UUID, role: str) -> bool:
        """Take a role away. Tells whether the user had it."""

    def begin_generation(self, user_id: UUID) -> int:
        """Begin a new generation of the user's tokens and return its number."""

    def begin_secret_generation(self, user_id: UUID) -> None:
        """Make void whatever waits for a proof of the user: what proves them has changed."""

    def page(self, after: str, limit: int, now: datetime) -> list[UserSummary]:
        """Return up to `limit` accounts in the order of canonical names, those after `after`."""


class Sessions(Protocol):
    """Sessions, their refresh tokens, and the revocation of their access tokens.

    Whatever ends a session also appends the rule by which services refuse its tokens.
    """

    def add(self, session: Session) -> None:
        """Keep a new session. One with this id that is already there stays as it is."""

    def get(self, session_id: UUID) -> tuple[Session, User] | None:
        """Return a session and its user."""

    def hold_each(self, session_ids: set[UUID]) -> dict[UUID, tuple[Session, User]]:
        """Return sessions with their users, as they are now, and keep others from changing them until the end."""

    def rotate_each(self, rotations: Sequence[tuple[RefreshToken, Session]], now: datetime) -> int:
        """Spend tokens, one of a session, in one conditional step, after which each session is as is said with it.

        Returns how many. A token is left alone that is not its session's current one, and a session that is not live at
        `now`. Of any number of calls with one token at most one spends it.
        """

    def step_up(self, session: Session) -> bool:
        """Keep when and how the user was proved last, and when the last token expires. Tells whether it is live."""

    def end(self, session_id: UUID, reason: SessionEnd, now: datetime) -> int:
        """End one session. Returns 1 if it was live, 0 otherwise.

        One that is over by the clock ends as well, with its rule: the clock may be ahead.
        """

    def end_each(self, session_ids: set[UUID], reason: SessionEnd, now: datetime) -> set[UUID]:
        """End several sessions, whosever they are. Returns those that were live."""

    def end_all(self, user_id: UUID, reason: SessionEnd, now: datetime, keep: UUID | None = None) -> int:
        """End every session of a user, except `keep`. Returns how many were live."""

    def outdate_tokens(self, user_id: UUID, generation: int) -> None:
        """Append the rule by which services refuse the user's tokens of generations before this one."""

    def live_of(self, user_id: UUID, now: datetime) -> list[Session]:
        """Return the live sessions of a user, those that were used last first."""

    def live_ids(self, after: UUID, limit: int, now: datetime) -> list[UUID]:
        """Return up to `limit` ids of live sessions, whosever they are, in their order, those after `after`."""

    def count_live(self, user_id: UUID, now: datetime) -> int:
        """Return how many sessions of a user are live."""

    def forget(self, limit: int) -> int:
        """Delete up to `limit` sessions, live or not, and append no rule. Returns how many were deleted."""


class Attempts(Protocol):
    """Login attempts since the last success, by account."""

    def count(self, subject: bytes, now: datetime, keep_until: datetime) -> int:
        """Add one attempt to a subject of 32 bytes and return how many there are now. Parallel calls all count."""

    def clear(self, subject: bytes) -> None:
        """Forget the attempts of a subject."""


class LiveSessions(Protocol):
    """The authority on whether a token still counts, for Verify."""

    def judge(self, session_id: UUID, user_id: UUID, generation: int, now: datetime, deadline: Deadline) -> Standing:
        """Say what a token is worth: whether its session is live and this user's, and the user active.

        The read starts after this call. Raises StorageUnavailable.
        """

    def judge_each(self, asked: Sequence[Identity], now: datetime) -> list[Standing]:
        """Say the same of several tokens, in their order, from one read. For one thread at a time."""


class SessionEnds(Protocol):
    """Logouts of single sessions, which are frequent enough to be carried out together."""

    def logout(self, session_id: UUID, now: datetime, deadline: Deadline) -> bool:
        """End one session in a transaction. Tells whether it was live. Raises StorageUnavailable, Conflict."""

    def logout_each(self, session_ids: Sequence[UUID], now: datetime, deadline: Deadline) -> list[bool]:
        """End several in one transaction. Tells of each whether it was live; of one that is named twice, once.

        Raises StorageUnavailable, Conflict, DeadlineTooShort.
        """


@dataclass(frozen=True, slots=True)
class PasswordCheck:
    """The outcome of comparing a password with a stored hash."""

    matches: bool
    outdated: bool


class Passwords(Protocol):
    """Password hashing, bounded in how much of it happens at once."""

    def require_room(self) -> None:
        """Raise Overloaded if a hash would be refused now. Asked first, so that a refusal costs nothing else."""

    def hash(self, password: str, deadline: Deadline) -> str:
        """Return a new hash. Raises Overloaded, DeadlineTooShort."""

    def check(self, password: str, stored: str | None, deadline: Deadline) -> PasswordCheck:
        """Compare.

        With None, or a hash that cannot be read, does the same work and does not match. Raises as `hash`.
        """


class NameRules(Protocol):
    """What a user name may be, and when two are the same."""

    def read(self, typed: str) -> UserName:
        """Return the name. Raises FieldRejected."""


class EmailRules(Protocol):
    """What an e-mail address may be, and when two are the same."""

    def read(self, typed: str) -> str | None:
        """Return the canonical address, or None for an empty text. Raises FieldRejected."""


class PasswordRules(Protocol):
    """What a new password may be."""

    def read(self, password: str, context: list[str]) -> str:
        """Return the password. `context` holds words it must not be built from. Raises FieldRejected."""


class AccessTokens(Protocol):
    """Access tokens."""

    def issue(self, user: User, session: Session, now: datetime, expires_at: datetime) -> str:
        """Return a signed token. Raises TokenTooLarge."""

    def read(self, text: str, now: datetime) -> Identity:
        """Return whose token it is, judging signature, claims and time but not the session. Raises TokenRejected."""


class Examination(Protocol):
    """Access tokens taken apart, for people who ask why one is refused."""

    def __call__(self, token: str, keys: list[SigningKey], now: datetime) -> tuple[list[Check], Identity | None]:
        """Return what each step of reading a token has come to, and whose it is if its signature is good."""


class RefreshTokens(Protocol):
    """Refresh tokens and their succession."""

    def first(self, session_id: UUID) -> RefreshToken:
        """Return the first token of a new session."""

    def successor(self, token: RefreshToken) -> RefreshToken:
        """Return the one token that follows. The same for every call."""

    def heir(self, token: RefreshToken, generation: int) -> RefreshToken:
        """Return the token that has followed from one by a later generation; that itself, if it is of this one."""

    def read(self, text: str) -> RefreshToken:
        """Return the token whose text this is. Raises TokenInvalid unless this service made it."""


class Fingerprints(Protocol):
    """Keyed hashes, for texts that must be recognised and not read."""

    def of(self, kind: str, text: str) -> bytes:
        """Return 32 bytes that stand for a text of one kind."""
