"""Login: open a session for a user who knows the password."""

import contextlib
from dataclasses import dataclass, field

from authservice.domain import events
from authservice.domain.deadline import Deadline
from authservice.domain.errors import AuthError, CredentialsInvalid
from authservice.domain.fields import Fields, bounded_text, client_label
from authservice.domain.session import PASSWORD_ALONE, Opening
from authservice.domain.tokens import SessionTokens
from authservice.domain.user import User
from authservice.ports import (
    Audit,
    AuthStores,
    Database,
    Passwords,
    first_change_counts,
)
from authservice.usecases.steps.count_attempt import CountAttempt
from authservice.usecases.steps.find_user import FindUser, identifier
from authservice.usecases.steps.open_session import OpenSession
from authservice.usecases.steps.require_confirmed import RequireConfirmed


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
    find_user: FindUser
    passwords: Passwords
    count_attempt: CountAttempt
    require_confirmed: RequireConfirmed
    open_session: OpenSession
    audit: Audit

    def __call__(self, request: Credentials, deadline: Deadline) -> SessionTokens:
        """Return the tokens of a new session.

        Raises InvalidInput, CredentialsInvalid, EmailNotConfirmed, Overloaded, TokenTooLarge, DeadlineTooShort,
        StorageUnavailable, Conflict.
        """
        self._check_form(request)
        self.passwords.require_room()
        user = self.database.read(lambda tx: self.find_user(tx, request.user_name_or_email), deadline)
        subject = self.count_attempt(user, request.user_name_or_email, deadline)
        check = self.passwords.check(request.password, user.password_hash if user else None, deadline)
        if user is None or not check.matches or not user.is_active:
            self.audit.record(events.LoginRefused(user_id=user.id if user else None))
            raise CredentialsInvalid
        self.require_confirmed(user, deadline)
        opening = Opening(request.client_label, request.network, PASSWORD_ALONE, request.is_remembered)
        tokens = self.open_session(user, subject, opening, deadline)
        if check.outdated:
            self._upgrade_hash(user, request.password, deadline)
        return tokens

    def _check_form(self, request: Credentials) -> None:
        fields = Fields()
        fields.read("user_name_or_email", identifier, request.user_name_or_email)
        fields.read("password", bounded_text, request.password, least=1, most=1024)
        fields.read("client_label", client_label, request.client_label)
        fields.require_valid()

    def _upgrade_hash(self, user: User, password: str, deadline: Deadline) -> None:
        # The user is in, whatever becomes of this; the next login will try again.
        with contextlib.suppress(AuthError):
            fresh = self.passwords.hash(password, deadline)
            self.database.transact(
                lambda tx: tx.users.replace_password_hash(user.id, user.password_hash, fresh),
                deadline,
                settle=first_change_counts,
            )
