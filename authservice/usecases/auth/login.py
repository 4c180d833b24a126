"""Login: open a session for a user who knows the password."""

import contextlib
from dataclasses import dataclass, field

from authservice.domain import events
from authservice.domain.deadline import Deadline
from authservice.domain.errors import (
    AuthError,
    CredentialsInvalid,
    InvalidInput,
    PasswordChangeRequired,
    Violation,
)
from authservice.domain.fields import Fields, another_password, bounded_text, client_label
from authservice.domain.session import PASSWORD_ALONE, Opening
from authservice.domain.tokens import SessionTokens
from authservice.domain.user import NewPassword, User
from authservice.ports import (
    Audit,
    AuthStores,
    Clock,
    Database,
    PasswordRules,
    Passwords,
    first_change_counts,
)
from authservice.usecases.steps.admit_attempt import AdmitAttempt, Attempt
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
    new_password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Login:
    """Opens sessions.

    An unknown user, a disabled one and a wrong password take the same path: one attempt is counted, one hash is
    computed, one refusal is raised. The attempt is counted before the hash, so that parallel guesses cannot outrun the
    count.
    """

    database: Database[AuthStores]
    find_user: FindUser
    password_rules: PasswordRules
    passwords: Passwords
    admit_attempt: AdmitAttempt
    require_confirmed: RequireConfirmed
    open_session: OpenSession
    clock: Clock
    audit: Audit

    def __call__(self, request: Credentials, deadline: Deadline) -> SessionTokens:
        """Return the tokens of a new session.

        Raises InvalidInput, CredentialsInvalid, EmailNotConfirmed, PasswordChangeRequired, PasswordCheckUnavailable,
        Throttled, Overloaded, TokenTooLarge, DeadlineTooShort, StorageUnavailable, Conflict.
        """
        self._check_form(request)
        self.passwords.require_room()
        name, user = self.database.read(lambda tx: self.find_user(tx, request.user_name_or_email), deadline)
        attempt = self.admit_attempt(user, name, request.password, request.network, deadline)
        check = self.passwords.check(request.password, user.password_hash if user else None, deadline)
        if not check.matches:
            self.admit_attempt.failed(attempt, deadline)
        if user is None or not check.matches or not user.is_active or not user.has_password(self.clock()):
            self.audit.record(events.LoginRefused(user_id=user.id if user else None))
            raise CredentialsInvalid
        self.require_confirmed(user, deadline)
        opening = Opening(request.client_label, request.network, PASSWORD_ALONE, request.is_remembered)
        if user.has_one_time_password or request.new_password:
            return self._replace_one_time_password(request, user, attempt, opening, deadline)
        tokens = self.open_session(user, attempt, opening, deadline)
        if check.outdated:
            self._upgrade_hash(user, request.password, deadline)
        return tokens

    def _replace_one_time_password(
        self, request: Credentials, user: User, attempt: Attempt, opening: Opening, deadline: Deadline
    ) -> SessionTokens:
        """Open a session with the new password that comes with a one-time password."""
        if not user.has_one_time_password:
            raise InvalidInput(Violation("new_password", "replaces a one-time password only. Call ChangePassword"))
        if not request.new_password:
            raise PasswordChangeRequired
        # Judged only now: what is said about it may tell a name and an address.
        fields = Fields()
        names = [user.name.typed, user.email or ""]
        fields.read("new_password", another_password, request.new_password, request.password)
        fields.read("new_password", self.password_rules.read, request.new_password, names)
        fields.require_valid()
        new = NewPassword(self.passwords.hash(request.new_password, deadline))
        tokens = self.open_session(user, attempt, opening, deadline, new)
        self.audit.record(events.OneTimePasswordReplaced(user_id=user.id, session_id=tokens.session_id))
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
