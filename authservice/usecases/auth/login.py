"""Login: open a session for a user who knows the password, or say what is asked for beside it."""

import contextlib
from dataclasses import dataclass, field
from uuid import UUID

from authservice.domain import events
from authservice.domain.challenge import IssuedChallenge
from authservice.domain.deadline import Deadline
from authservice.domain.errors import AuthError, CredentialsInvalid, FieldRejected
from authservice.domain.fields import Fields, bounded_bytes, bounded_text, client_label
from authservice.domain.second_factor import TotpFactor
from authservice.domain.session import PASSWORD_ALONE, Opening
from authservice.domain.tokens import SessionTokens
from authservice.domain.user import User
from authservice.ports import (
    Audit,
    AuthStores,
    Database,
    EmailRules,
    NameRules,
    Passwords,
    first_change_counts,
)
from authservice.usecases.steps.ask_second_factor import AskSecondFactor
from authservice.usecases.steps.count_attempt import CountAttempt
from authservice.usecases.steps.open_session import OpenSession

_NOBODY = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a caller sends to log in."""

    user_name_or_email: str
    password: str = field(repr=False)
    client_label: str = ""
    is_remembered: bool = False
    network: str = ""


@dataclass(frozen=True, slots=True)
class Login:
    """Opens sessions.

    An unknown user, a disabled one and a wrong password take the same path: one attempt is counted, one hash is
    computed, one refusal is raised. The attempt is counted before the hash, so that parallel guesses cannot outrun the
    count.
    """

    database: Database[AuthStores]
    names: NameRules
    emails: EmailRules
    passwords: Passwords
    count_attempt: CountAttempt
    ask_second_factor: AskSecondFactor
    open_session: OpenSession
    audit: Audit

    def __call__(self, request: Credentials, deadline: Deadline) -> SessionTokens | IssuedChallenge:
        """Return the tokens of a new session, or what is asked for before it begins.

        Raises InvalidInput, CredentialsInvalid, Overloaded, TokenTooLarge, DeadlineTooShort, StorageUnavailable,
        Conflict.
        """
        self._check_form(request)
        self.passwords.require_room()
        user, factor = self.database.read(lambda tx: self._find(tx, request.user_name_or_email), deadline)
        subject = self.count_attempt(user, request.user_name_or_email, deadline)
        check = self.passwords.check(request.password, user.password_hash if user else None, deadline)
        if user is None or not check.matches or not user.is_active:
            self.audit.record(events.LoginRefused(user_id=user.id if user else None))
            raise CredentialsInvalid
        opening = Opening(request.client_label, request.network, PASSWORD_ALONE, request.is_remembered)
        answer = self.ask_second_factor(user, factor, opening, deadline) or self.open_session(
            user, subject, opening, deadline
        )
        if check.outdated:
            self._upgrade_hash(user, request.password, deadline)
        return answer

    def _check_form(self, request: Credentials) -> None:
        fields = Fields()
        fields.read("user_name_or_email", _identifier, request.user_name_or_email)
        fields.read("password", bounded_text, request.password, least=1, most=1024)
        fields.read("client_label", client_label, request.client_label)
        fields.require_valid()

    def _find(self, tx: AuthStores, identifier: str) -> tuple[User | None, TotpFactor | None]:
        user = self._user(tx, identifier)
        # Asked for nobody as well, so that the time does not tell who exists.
        return user, tx.totp_factors.get(user.id if user else _NOBODY)

    def _user(self, tx: AuthStores, identifier: str) -> User | None:
        try:
            if "@" in identifier:
                email = self.emails.read(identifier)
                return tx.users.by_email(email) if email else None
            return tx.users.by_name(self.names.read(identifier).canonical)
        except FieldRejected:
            return None

    def _upgrade_hash(self, user: User, password: str, deadline: Deadline) -> None:
        # The user is in, whatever becomes of this; the next login will try again.
        with contextlib.suppress(AuthError):
            fresh = self.passwords.hash(password, deadline)
            self.database.transact(
                lambda tx: tx.users.replace_password_hash(user.id, user.password_hash, fresh),
                deadline,
                settle=first_change_counts,
            )


def _identifier(value: str) -> str:
    return bounded_bytes(bounded_text(value, least=1, most=254), most=254)
