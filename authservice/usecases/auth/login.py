"""Login: open a session for a user who knows the password."""

import contextlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from authservice.domain.deadline import Deadline
from authservice.domain.errors import AuthError, CredentialsInvalid, FieldRejected
from authservice.domain.fields import Fields, bounded_bytes, bounded_text, client_label
from authservice.domain.session import Session, SessionLimits
from authservice.domain.tokens import RefreshToken, SessionTokens
from authservice.domain.user import User
from authservice.ports import (
    Audit,
    Clock,
    Database,
    EmailRules,
    Fingerprints,
    NameRules,
    NewId,
    Passwords,
    RefreshTokens,
    Transaction,
)
from authservice.usecases.steps.issue_tokens import IssueTokens

ATTEMPTS_KEPT = timedelta(days=1)
"""How long the count of failed attempts outlives the last of them."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a caller sends to log in."""

    user_name_or_email: str
    password: str = field(repr=False)
    client_label: str = ""


@dataclass(frozen=True, slots=True)
class Login:
    """Opens sessions.

    An unknown user, a disabled one and a wrong password take the same path: one attempt is counted, one hash is
    computed, one refusal is raised. The attempt is counted before the hash, so that parallel guesses cannot outrun the
    count.
    """

    database: Database
    names: NameRules
    emails: EmailRules
    passwords: Passwords
    fingerprints: Fingerprints
    refresh_tokens: RefreshTokens
    issue_tokens: IssueTokens
    limits: SessionLimits
    new_id: NewId
    clock: Clock
    audit: Audit

    def __call__(self, request: Credentials, deadline: Deadline) -> SessionTokens:
        """Return the tokens of a new session.

        Raises InvalidInput, CredentialsInvalid, Overloaded, TokenTooLarge, DeadlineTooShort, StorageUnavailable,
        Conflict.
        """
        self._check_form(request)
        self.passwords.require_room()
        user = self.database.transact(lambda tx: self._find(tx, request.user_name_or_email), deadline)
        subject = self._count_attempt(user, request.user_name_or_email, deadline)
        check = self.passwords.check(request.password, user.password_hash if user else None, deadline)
        if user is None or not check.matches or not user.is_active:
            self.audit.record("login_refused", user_id=str(user.id) if user else None)
            raise CredentialsInvalid
        tokens = self._open_session(user, subject, request.client_label, deadline)
        if check.outdated:
            self._upgrade_hash(user, request.password, deadline)
        return tokens

    def _check_form(self, request: Credentials) -> None:
        fields = Fields()
        fields.read("user_name_or_email", _identifier, request.user_name_or_email)
        fields.read("password", bounded_text, request.password, least=1, most=1024)
        fields.read("client_label", client_label, request.client_label)
        fields.require_valid()

    def _count_attempt(self, user: User | None, identifier: str, deadline: Deadline) -> bytes:
        subject = subject_of(user.id, self.fingerprints) if user else self.fingerprints.of("unknown_user", identifier)
        now = self.clock()
        # A transaction of its own, which begins with the count: after a read, the counts of parallel attempts on one
        # account would be conflicts.
        self.database.transact(lambda tx: tx.attempts.count(subject, now, now + ATTEMPTS_KEPT), deadline)
        return subject

    def _find(self, tx: Transaction, identifier: str) -> User | None:
        try:
            if "@" in identifier:
                email = self.emails.read(identifier)
                return tx.users.by_email(email) if email else None
            return tx.users.by_name(self.names.read(identifier).canonical)
        except FieldRejected:
            return None

    def _open_session(self, user: User, subject: bytes, label: str, deadline: Deadline) -> SessionTokens:
        now = self.clock()
        session_id = self.new_id()
        refresh = self.refresh_tokens.first(session_id)
        session = new_session(session_id, user, label, refresh, self.limits, now)

        def store(tx: Transaction) -> SessionTokens:
            current = tx.users.lock(user.id)
            if current is None or not current.is_active:
                raise CredentialsInvalid
            tx.attempts.clear(subject)
            tx.sessions.add(session)
            # Here, because the token has to say what is true of the user when the session begins, and no session
            # begins if the token cannot be made.
            return self.issue_tokens(current, session, refresh, now)

        tokens = self.database.transact(store, deadline)
        self.audit.record("login", user_id=str(user.id), session_id=str(session.id), client_label=label)
        return tokens

    def _upgrade_hash(self, user: User, password: str, deadline: Deadline) -> None:
        # The user is in, whatever becomes of this; the next login will try again.
        with contextlib.suppress(AuthError):
            fresh = self.passwords.hash(password, deadline)
            self.database.transact(
                lambda tx: tx.users.replace_password_hash(user.id, user.password_hash, fresh), deadline
            )


def _identifier(value: str) -> str:
    return bounded_bytes(bounded_text(value, least=1, most=254), most=254)


def subject_of(user_id: UUID, fingerprints: Fingerprints) -> bytes:
    """Return what the attempts on an account are counted under, however the user spelled its name."""
    return fingerprints.of("user", str(user_id))


def new_session(
    session_id: UUID, user: User, label: str, refresh: RefreshToken, limits: SessionLimits, now: datetime
) -> Session:
    """Return a session that begins at `now`."""
    absolute_end = now + limits.absolute
    return Session(
        id=session_id,
        user_id=user.id,
        client_label=label,
        authenticated_at=now,
        idle_end=limits.idle_end(now, absolute_end),
        absolute_end=absolute_end,
        refresh_hash=refresh.hash,
        token_end=limits.access_token_end(now, absolute_end),
    )
