"""FinishPasskeyRegistration: keep the passkey that the caller's device has made."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from authservice.domain import events
from authservice.domain.caller import Caller
from authservice.domain.deadline import Deadline
from authservice.domain.errors import FieldRejected, PasskeyExists, PasskeyInvalid, TooManyPasskeys
from authservice.domain.fields import Fields, bounded_text, display_name, passkey_answer
from authservice.domain.mail import Letter, MailKind
from authservice.domain.passkey import MOST_PASSKEYS, POSSESSION, Passkey
from authservice.domain.second_factor import PASSKEY_ADDED, with_second_factor
from authservice.domain.session import SessionLimits
from authservice.ports import Audit, AuthStores, CeremonyTokens, Clock, Database, last_counts
from authservice.usecases.account.begin_passkey_registration import subject_of
from authservice.usecases.steps.begin_ceremony import REGISTRATION
from authservice.usecases.steps.enroll_totp import EnrollTotp
from authservice.usecases.steps.hold_caller import hold_caller, require_strongest, see_caller
from authservice.usecases.steps.second_factors import second_factors_of
from authservice.usecases.steps.send_mail import SendMail
from authservice.usecases.steps.use_passkey import UsePasskey


@dataclass(frozen=True, slots=True)
class PasskeyRegistration:
    """What a caller sends: the token with which the browser was asked, its answer, and a name for the passkey."""

    ceremony_token: str = field(repr=False)
    credential: str = field(repr=False)
    name: str


@dataclass(frozen=True, slots=True)
class Registered:
    """The passkey, and recovery codes where it is the first second factor of its owner."""

    passkey: Passkey
    recovery_codes: Sequence[str] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class FinishPasskeyRegistration:
    """Has logins of the caller ask for a passkey from now on, or for what else they have set up."""

    database: Database[AuthStores]
    ceremony_tokens: CeremonyTokens
    use_passkey: UsePasskey
    enroll: EnrollTotp
    send_mail: SendMail
    limits: SessionLimits
    clock: Clock
    audit: Audit

    def __call__(self, request: PasskeyRegistration, caller: Caller, deadline: Deadline) -> Registered:
        """Return the passkey, and recovery codes if there were none.

        Raises InvalidInput, ChallengeOver, PasskeyInvalid, PasskeysOff, PasskeyExists, TooManyPasskeys, MfaRequired,
        SessionEnded, DeadlineTooShort, StorageUnavailable, Conflict.
        """
        ceremonies, now = self.use_passkey.require_ceremonies(), self.clock()
        self._check_form(request)
        # The id of the ceremony becomes that of the passkey: so one ceremony makes one, however often it is answered.
        subject = self.database.read(lambda tx: _subject(tx, caller), deadline)
        passkey_id, _ = self.ceremony_tokens.read(request.ceremony_token, REGISTRATION, subject, now)
        try:
            made = ceremonies.created(request.ceremony_token, request.credential)
        except PasskeyInvalid:
            self.use_passkey.refused(caller.user_id)
            raise
        passkey = Passkey(
            passkey_id,
            caller.user_id,
            made.credential_id,
            made.public_key,
            made.sign_count,
            made.transports,
            made.is_backed_up,
            request.name,
            created_at=now,
        )
        codes = self.enroll.recovery_codes.generate()
        notice = self.send_mail.draft(MailKind.FACTOR_CHANGED, change=PASSKEY_ADDED)
        is_first = self.database.transact(
            lambda tx: self._keep(tx, passkey, codes, notice, caller), deadline, settle=last_counts
        )
        self.audit.record(events.PasskeyAdded(user_id=caller.user_id, passkey_id=passkey_id))
        return Registered(passkey, codes if is_first else ())

    def _check_form(self, request: PasskeyRegistration) -> None:
        fields = Fields()
        fields.read("ceremony_token", bounded_text, request.ceremony_token, least=1, most=4096)
        fields.read("credential_json", passkey_answer, request.credential)
        fields.read("name", passkey_name, request.name)
        fields.require_valid()

    def _keep(self, tx: AuthStores, passkey: Passkey, codes: Sequence[str], notice: Letter, caller: Caller) -> bool:
        """Keep a passkey, and tell whether it is the first second factor. May be repeated."""
        user, session = hold_caller(tx, caller, notice.written_at)
        require_strongest(tx, user, session.auth_methods)
        before = second_factors_of(tx, user.id)
        others = [each for each in before.passkeys if each.id != passkey.id]
        if len(others) >= MOST_PASSKEYS:
            raise TooManyPasskeys
        if not tx.passkeys.add(passkey):
            raise PasskeyExists
        if not before.has_app:
            tx.totp_factors.remove(user.id)  # What somebody has begun to set up, and not finished.
        is_first = not (before.has_app or others)
        if is_first:
            self.enroll.keep_codes(tx, user, codes, notice.written_at)
        tx.users.begin_secret_generation(user.id)
        self.send_mail.notify(tx, user, notice)
        methods = with_second_factor(session.auth_methods, POSSESSION)
        tx.sessions.step_up(session.proved(methods, notice.written_at, self.limits))
        return is_first


def _subject(tx: AuthStores, caller: Caller) -> str:
    user, _ = see_caller(tx, caller)
    return subject_of(caller, user)


def passkey_name(value: str) -> str:
    """Return what a user calls a passkey: as a display name, and not empty. Raises FieldRejected."""
    if not value.strip():
        raise FieldRejected("is required")
    return display_name(value)
