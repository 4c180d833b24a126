"""ChangePassword: replace the password of the caller."""

from dataclasses import dataclass, field
from datetime import timedelta

from authservice.domain import events
from authservice.domain.caller import Caller
from authservice.domain.deadline import Deadline
from authservice.domain.errors import CredentialsInvalid, FieldRejected, SessionEnded
from authservice.domain.fields import Fields, another_password, bounded_text
from authservice.domain.session import SessionEnd
from authservice.domain.user import NewPassword, User
from authservice.ports import Audit, AuthStores, Clock, Database, PasswordRules, Passwords
from authservice.usecases.steps.admit_attempt import AdmitAttempt, account_of
from authservice.usecases.steps.hold_caller import require_strongest, see_caller
from authservice.usecases.steps.set_password import Replacement, SetPassword

FRESH = timedelta(minutes=5)
"""How long ago a second factor may have been shown that stands in for the old password."""


@dataclass(frozen=True, slots=True)
class PasswordChange:
    """What a caller sends. The old password may be left out by whoever has just shown a second factor."""

    old_password: str = field(repr=False)
    new_password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ChangePassword:
    """Replaces the password of the caller, and ends their other sessions.

    Whoever has only found an open session knows neither the old password nor the second factor, and must not be able to
    shut its owner out. The old password is proved as at Login: the attempt is counted before the hash.
    """

    database: Database[AuthStores]
    password_rules: PasswordRules
    passwords: Passwords
    admit_attempt: AdmitAttempt
    set_password: SetPassword
    clock: Clock
    audit: Audit

    def __call__(self, request: PasswordChange, caller: Caller, deadline: Deadline) -> int:
        """Return how many other sessions were live and are ended now.

        Raises InvalidInput, CredentialsInvalid, MfaRequired, SessionEnded, Throttled, Overloaded, DeadlineTooShort,
        StorageUnavailable, Conflict.
        """
        user = self.database.read(lambda tx: _owner(tx, caller), deadline)
        self._check_form(request, caller, user)
        self.passwords.require_room()
        if request.old_password:
            self._prove(user, request.old_password, caller.network, deadline)
        new = NewPassword(self.passwords.hash(request.new_password, deadline))
        replacement = self.set_password.draft(new, SessionEnd.PASSWORD_CHANGED, self.clock())
        ended = self.database.transact(lambda tx: self._change(tx, user, replacement, caller), deadline, settle=_settle)
        if ended is None:  # Another change was faster, so what was proved is true no longer.
            raise CredentialsInvalid
        self.audit.record(events.PasswordChanged(user_id=user.id, session_id=caller.session_id, ended=ended))
        return ended

    def _check_form(self, request: PasswordChange, caller: Caller, user: User) -> None:
        fields = Fields()
        fields.read("old_password", self._old_password, request.old_password, caller)
        fields.read("new_password", another_password, request.new_password, request.old_password)
        fields.read("new_password", self.password_rules.read, request.new_password, [user.name.typed, user.email or ""])
        fields.require_valid()

    def _old_password(self, text: str, caller: Caller) -> str:
        if not text and not ("mfa" in caller.auth_methods and self.clock() - caller.authenticated_at <= FRESH):
            raise FieldRejected("is required, unless a second factor was shown within the last five minutes")
        return bounded_text(text, most=1024)

    def _prove(self, user: User, password: str, network: str, deadline: Deadline) -> None:
        attempt = self.database.read(
            lambda tx: self.admit_attempt.prepare(tx, user, user.name.canonical, password, network), deadline
        )
        self.admit_attempt(attempt, deadline)
        if not self.passwords.check(password, user.password_hash, deadline).matches:
            self.admit_attempt.failed(attempt, deadline)
            self.audit.record(events.PasswordChangeRefused(user_id=user.id))
            raise CredentialsInvalid

    def _change(self, tx: AuthStores, user: User, replacement: Replacement, caller: Caller) -> int | None:
        ended = self.set_password(tx, user, replacement, keep=caller.session_id)
        if ended is None:
            return None
        # Held, so that it does not end while it changes the password: another session may be ending it.
        session, _ = tx.sessions.hold_each({caller.session_id}).get(caller.session_id, (None, None))
        if session is None or not session.is_live(replacement.at):
            raise SessionEnded
        tx.attempts.clear_owned(account_of(user.id, self.admit_attempt.fingerprints))
        return ended


def _owner(tx: AuthStores, caller: Caller) -> User:
    user, session = see_caller(tx, caller)
    require_strongest(tx, user, session.auth_methods)
    return user


def _settle(earlier: int | None, last: int | None) -> int | None:
    # The last run knows whether the password is ours; what the earlier one ended, it finds ended.
    return last if last is None or earlier is None else max(earlier, last)
