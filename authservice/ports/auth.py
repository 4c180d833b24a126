"""What stories about accounts, sessions and tokens need."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from authservice.domain.check import Check
from authservice.domain.deadline import Deadline
from authservice.domain.person import Person
from authservice.domain.session import Session, SessionEnd, Standing
from authservice.domain.signing_key import SigningKey
from authservice.domain.strength import Strength
from authservice.domain.throttle import Bucket, Tried
from authservice.domain.tokens import Identity, RefreshToken
from authservice.domain.user import NewPassword, User, UserName, UserSummary


class Users(Protocol):
    """Accounts."""

    def add(self, user: User) -> User:
        """Keep a new account and return it as stored.

        A user with this id that is already there is returned unchanged, so that the transaction may be repeated. An
        e-mail address that another account has claimed stays with that account. Raises UserNameTaken.
        """

    def get(self, user_id: UUID) -> User | None:
        """Return the account with this id."""

    def by_name(self, canonical: str) -> User | None:
        """Return the account with this canonical name."""

    def by_email(self, email: str, *, confirmed_only: bool = False) -> User | None:
        """Return the account that has claimed this canonical address, or that has confirmed it."""

    def lock(self, user_id: UUID) -> User | None:
        """Return the account as it is now and keep others from changing it until the transaction ends."""

    def lock_named(self, canonical: str) -> User | None:
        """Do the same with the account of this canonical name."""

    def replace_password_hash(self, user_id: UUID, old: str, new: str) -> bool:
        """Replace the hash of an unchanged password if it is still `old`. Tells whether it was."""

    def set_password(self, user: User, new: NewPassword) -> bool:
        """Replace the password in one conditional step and begin a new `secret_generation`.

        Tells whether hash and `secret_generation` were still those of `user`.
        """

    def set_email(self, user: User, new: str) -> bool:
        """Give the user a new canonical address, and count what proves them up, unless that has changed meanwhile.

        Tells whether it was given.
        """

    def set_profile(self, user_id: UUID, display_name: str | None, locale: str | None) -> None:
        """Replace what people say about themselves."""

    def set_erase_at(self, user_id: UUID, at: datetime | None) -> None:
        """Have the account erased at a moment, or never."""

    def due_for_erasure(self, now: datetime, limit: int) -> list[UUID]:
        """Return up to `limit` accounts that are to be erased by `now`, those first that have waited longest."""

    def remove(self, user_id: UUID) -> bool:
        """Delete the account itself, of which nothing else is left. Tells whether it was there."""

    def retire_name(self, fingerprint: bytes, now: datetime) -> None:
        """Keep a name from being used again, by 32 bytes that stand for it."""

    def is_retired(self, fingerprint: bytes) -> bool:
        """Tell whether a name was retired. What is not yet stays so until the transaction ends."""

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


@dataclass(frozen=True, slots=True)
class Holders:
    """Who has canonical names, by id and registration key, and who has claimed canonical addresses."""

    names: dict[str, tuple[UUID, bytes | None]] = field(repr=False)
    emails: dict[str, UUID]


class Imports(Protocol):
    """Accounts from another system, many at a time."""

    def add_each(self, new: Sequence[User]) -> Holders:
        """Keep new accounts, each unless its name is taken, and return who has these names and addresses then.

        An e-mail address that another account has claimed stays with that account.
        """

    def holders(self, names: Collection[str], emails: Collection[str]) -> Holders:
        """Return who has names and addresses, and change nothing."""


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
    """Attempts to prove who one is, what was wrong with them, and from where the right ones came."""

    def count(self, subject: bytes, now: datetime, keep_until: datetime) -> int:
        """Add one attempt to a subject of 32 bytes and return how many there are now. Parallel calls all count."""

    def admit(self, buckets: Sequence[Bucket], now: datetime, tried: Tried | None = None) -> timedelta:
        """Count one attempt in each bucket if all of them have room. Returns zero, or how long there is none.

        Parallel calls come one after the other. What is `tried` is remembered, and admitted without a count if it is
        remembered already.
        """

    def clear(self, subject: bytes) -> None:
        """Forget the attempts of a subject."""

    def forgive(self, attempts: Mapping[bytes, int]) -> None:
        """Take so many attempts off each subject, so that there are none left at least, and none has to wait."""

    def clear_owned(self, owner: bytes) -> int:
        """Forget the attempts on an account, and what was tried. Returns how many rows there were."""

    def remember(self, tried: Tried, until: datetime) -> None:
        """Remember what was tried."""

    def forget(self, tried: Tried, now: datetime) -> None:
        """Remember no longer what was tried."""

    def know_network(self, user_id: UUID, fingerprint: bytes, until: datetime) -> None:
        """Remember that a user has come from a network."""

    def has_known_networks(self, user_id: UUID, now: datetime) -> bool:
        """Tell whether a user has come from any network."""

    def is_known_network(self, fingerprint: bytes, now: datetime) -> bool:
        """Tell whether a user has come from a network, by what stands for both."""


class PersonalData(Protocol):
    """Everything that is held about one person, in whatever table."""

    def tables(self) -> list[str]:
        """Return the names of the tables that hold something about people, in the order of an export."""

    def page(self, person: Person, name: str, after: object, limit: int) -> tuple[list[dict[str, object]], object]:
        """Return the next rows of one table about a person, without any secret, and where to go on after them.

        Args:
            after: where the page before has ended; None for the first. None is also what the last page answers.
        """

    def erase(self, person: Person, limit: int) -> int:
        """Delete up to `limit` rows about a person, in whatever table, but not the account. Returns how many went."""


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

    def read(self, typed: str) -> str:
        """Return the canonical address. Raises FieldRejected."""

    def read_optional(self, typed: str) -> str | None:
        """Return the same, or None for an empty text. Raises FieldRejected."""


class PasswordRules(Protocol):
    """What a new password may be."""

    def read(self, password: str, context: list[str]) -> str:
        """Return the password. `context` holds words it must not be built from. Raises FieldRejected."""


class PasswordStrength(Protocol):
    """What a password is worth, bounded in how much is judged at once."""

    def estimate(self, password: str, context: list[str], deadline: Deadline) -> Strength:
        """Return the estimate. Raises Overloaded, DeadlineTooShort, PasswordCheckUnavailable."""


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
