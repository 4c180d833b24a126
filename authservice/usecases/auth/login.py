"""Login: open a session for a user who knows the password, or say what is asked for beside it."""

import contextlib
import time
from dataclasses import dataclass, field
from uuid import UUID

from authservice.domain import events
from authservice.domain.challenge import IssuedChallenge
from authservice.domain.deadline import Deadline
from authservice.domain.errors import (
    AuthError,
    CredentialsInvalid,
    InvalidInput,
    PasswordChangeRequired,
    Throttled,
    Violation,
)
from authservice.domain.fields import Fields, another_password, bounded_text, client_label
from authservice.domain.second_factor import SecondFactors
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
from authservice.usecases.steps.ask_second_factor import AskSecondFactor
from authservice.usecases.steps.even_time import wait_for_tick
from authservice.usecases.steps.find_user import FindUser, identifier
from authservice.usecases.steps.open_session import OpenSession
from authservice.usecases.steps.require_confirmed import RequireConfirmed
from authservice.usecases.steps.second_factors import second_factors_of

_NOBODY = UUID(int=0)


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
    ask_second_factor: AskSecondFactor
    open_session: OpenSession
    clock: Clock
    audit: Audit

    def __call__(self, request: Credentials, deadline: Deadline) -> SessionTokens | IssuedChallenge:
        """Return the tokens of a new session, or what is asked for before it begins.

        Raises InvalidInput, CredentialsInvalid, EmailNotConfirmed, PasswordChangeRequired, PasswordCheckUnavailable,
        Throttled, Overloaded, TokenTooLarge, DeadlineTooShort, StorageUnavailable, Conflict.
        """
        begin = time.monotonic()
        self._check_form(request)
        self.passwords.require_room()
        user, factors, attempt = self.database.read(lambda tx: self._find(tx, request), deadline)
        try:
            self.admit_attempt(attempt, deadline)
        except Throttled:
            wait_for_tick(begin)  # Nothing was hashed that would take longer than all else.
            raise
        check = self.passwords.check(request.password, user.password_hash if user else None, deadline)
        if not check.matches:
            self.admit_attempt.failed(attempt, deadline)
        if user is None or not check.matches or not user.is_active or not user.has_password(self.clock()):
            self.audit.record(events.LoginRefused(user_id=user.id if user else None))
            raise CredentialsInvalid
        self.require_confirmed(user, deadline)
        opening = Opening(request.client_label, request.network, PASSWORD_ALONE, request.is_remembered)
        new_password = self._new_password(request, user, deadline)
        answer = self.ask_second_factor(user, factors, opening, deadline, new_password) or self.open_session(
            user, attempt, opening, deadline, new_password
        )
        if new_password:
            session_id = answer.session_id if isinstance(answer, SessionTokens) else None
            self.audit.record(events.OneTimePasswordReplaced(user_id=user.id, session_id=session_id))
        elif check.outdated:
            self._upgrade_hash(user, request.password, deadline)
        return answer

    def _new_password(self, request: Credentials, user: User, deadline: Deadline) -> NewPassword | None:
        """Return what takes the place of a one-time password. None where the password is the user's own."""
        if not user.has_one_time_password:
            if request.new_password:
                raise InvalidInput(Violation("new_password", "replaces a one-time password only. Call ChangePassword"))
            return None
        if not request.new_password:
            raise PasswordChangeRequired
        # Judged only now: what is said about it may tell a name and an address.
        fields = Fields()
        names = [user.name.typed, user.email or ""]
        fields.read("new_password", another_password, request.new_password, request.password)
        fields.read("new_password", self.password_rules.read, request.new_password, names)
        fields.require_valid()
        return NewPassword(self.passwords.hash(request.new_password, deadline))

    def _check_form(self, request: Credentials) -> None:
        fields = Fields()
        fields.read("user_name_or_email", identifier, request.user_name_or_email)
        fields.read("password", bounded_text, request.password, least=1, most=1024)
        fields.read("client_label", client_label, request.client_label)
        fields.require_valid()

    def _find(self, tx: AuthStores, request: Credentials) -> tuple[User | None, SecondFactors, Attempt]:
        name, user = self.find_user(tx, request.user_name_or_email)
        # Asked for nobody as well, so that the time does not tell who exists.
        factors = second_factors_of(tx, user.id if user else _NOBODY)
        return user, factors, self.admit_attempt.prepare(tx, user, name, request.password, request.network)

    def _upgrade_hash(self, user: User, password: str, deadline: Deadline) -> None:
        # The user is in, whatever becomes of this; the next login will try again.
        with contextlib.suppress(AuthError):
            fresh = self.passwords.hash(password, deadline)
            self.database.transact(
                lambda tx: tx.users.replace_password_hash(user.id, user.password_hash, fresh),
                deadline,
                settle=first_change_counts,
            )
