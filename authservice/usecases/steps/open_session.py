"""Opening a session for a user who has proved who they are."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

from authservice.domain import events
from authservice.domain.deadline import Deadline
from authservice.domain.errors import CredentialsInvalid
from authservice.domain.mail import MailKind
from authservice.domain.session import Opening, Session, SessionEnd, SessionLimits
from authservice.domain.tokens import RefreshToken, SessionTokens
from authservice.domain.user import NewPassword, User
from authservice.ports import (
    Audit,
    AuthStores,
    Clock,
    Database,
    NewId,
    RefreshTokens,
    last_counts,
)
from authservice.usecases.steps.admit_attempt import Attempt
from authservice.usecases.steps.issue_tokens import IssueTokens
from authservice.usecases.steps.send_mail import SendMail
from authservice.usecases.steps.set_password import Replacement, SetPassword

UNKNOWN = "unknown"

Prove: TypeAlias = Callable[[AuthStores, User, UUID], tuple[str, ...]]
"""Uses up what proves a user, as they are now, for the session of an id. Returns how they were proved in all.

Runs in the transaction that opens the session, and may find that session there: where a commit was not acknowledged.
"""


@dataclass(frozen=True, slots=True)
class OpenSession:
    """Stores a new session and makes its first tokens."""

    database: Database[AuthStores]
    refresh_tokens: RefreshTokens
    issue_tokens: IssueTokens
    limits: SessionLimits
    set_password: SetPassword
    send_mail: SendMail
    new_id: NewId
    clock: Clock
    audit: Audit

    def __call__(
        self,
        user: User,
        attempt: Attempt,
        opening: Opening,
        deadline: Deadline,
        new_password: NewPassword | None = None,
        prove: Prove | None = None,
    ) -> SessionTokens:
        """Return the tokens. The attempt has succeeded.

        A `new_password` is set in the same transaction, and other sessions end. Where the user has more sessions than
        allowed, those that were used longest ago end.

        Raises what `prove` raises; CredentialsInvalid if the user was disabled meanwhile, is being erased, or what
        proved them was changed; TokenTooLarge, DeadlineTooShort, StorageUnavailable, Conflict.

        Args:
            prove: uses up what has to be proved beside the password.
        """
        now = self.clock()
        session_id = self.new_id()
        refresh = self.refresh_tokens.first(session_id)
        replacement = self.set_password.draft(new_password, SessionEnd.PASSWORD_CHANGED, now) if new_password else None
        notice = self.send_mail.draft(
            MailKind.NEW_SIGN_IN, client=opening.label or UNKNOWN, network=opening.network or UNKNOWN
        )
        secret_generation = user.secret_generation + (replacement is not None)

        def store(tx: AuthStores) -> SessionTokens:
            if replacement and not self._replaced(tx, user, replacement, session_id):
                raise CredentialsInvalid
            current = tx.users.lock(user.id)
            if current is None or not current.is_active or current.is_due(now):
                raise CredentialsInvalid
            if prove is None and current.secret_generation != secret_generation:
                raise CredentialsInvalid
            attempt.succeeded(tx, current, now)
            methods = prove(tx, current, session_id) if prove else opening.auth_methods
            session = new_session(session_id, user, replace(opening, auth_methods=methods), refresh, self.limits, now)
            self._make_room(tx, session, now)
            tx.sessions.add(session)
            if attempt.is_from_a_new_place:
                self.send_mail.notify(tx, current, notice)
            # Here, because the token has to say what is true of the user when the session begins, and no session
            # begins if the token cannot be made.
            return self.issue_tokens(current, session, refresh, now)

        tokens = self.database.transact(store, deadline, settle=last_counts)
        self.audit.record(events.Login(user_id=user.id, session_id=session_id, client_label=opening.label))
        return tokens

    def _replaced(self, tx: AuthStores, user: User, replacement: Replacement, session_id: UUID) -> bool:
        # The session is kept, which an earlier run of the transaction may have opened.
        return self.set_password(tx, user, replacement, keep=session_id) is not None

    def _make_room(self, tx: AuthStores, session: Session, now: datetime) -> None:
        if not self.limits.most:
            return
        others = [each.id for each in tx.sessions.live_of(session.user_id, now) if each.id != session.id]
        if surplus := set(others[self.limits.most - 1 :]):
            tx.sessions.end_each(surplus, SessionEnd.TOO_MANY, now)


def new_session(
    session_id: UUID, user: User, opening: Opening, refresh: RefreshToken, limits: SessionLimits, now: datetime
) -> Session:
    """Return a session that begins at `now`."""
    idle, absolute = limits.lives(is_remembered=opening.is_remembered)
    absolute_end = now + absolute
    return Session(
        id=session_id,
        user_id=user.id,
        client_label=opening.label,
        authenticated_at=now,
        idle_end=min(now + idle, absolute_end),
        absolute_end=absolute_end,
        refresh_hash=refresh.hash,
        token_end=limits.access_token_end(now, absolute_end),
        opened_at=now,
        auth_methods=opening.auth_methods,
        idle=None if idle == limits.idle else idle,
        network=opening.network,
    )
