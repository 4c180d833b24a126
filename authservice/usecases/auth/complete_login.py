"""CompleteLogin: open the session of a user who meets the challenge of a login."""

from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from uuid import UUID

from authservice.domain import events
from authservice.domain.challenge import Challenge, Purpose
from authservice.domain.deadline import Deadline
from authservice.domain.errors import ChallengeOver, CodeInvalid, PasskeyInvalid
from authservice.domain.fields import Fields, bounded_text, passkey_answer
from authservice.domain.mail import Letter, MailKind
from authservice.domain.passkey import POSSESSION
from authservice.domain.second_factor import APP_ADDED, CODE_OF_APP, RECOVERY_CODE, with_second_factor
from authservice.domain.tokens import SessionTokens
from authservice.domain.user import User
from authservice.ports import Audit, AuthStores, ChallengeTokens, Clock, Database, last_counts
from authservice.usecases.steps.admit_attempt import AdmitAttempt
from authservice.usecases.steps.admit_code import AdmitCode, CodeAttempt
from authservice.usecases.steps.enroll_totp import EnrollTotp
from authservice.usecases.steps.open_session import OpenSession
from authservice.usecases.steps.second_factors import second_factors_of
from authservice.usecases.steps.send_mail import SendMail
from authservice.usecases.steps.use_code import UseCode
from authservice.usecases.steps.use_passkey import Used, UsePasskey


@dataclass(frozen=True, slots=True)
class Answer:
    """What a caller sends to meet a challenge: a code, or what a browser has answered with a passkey."""

    challenge_token: str = field(repr=False)
    code: str = field(default="", repr=False)
    network: str = ""
    passkey: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class CompletedLogin:
    """The tokens of the session, and recovery codes where an app was set up."""

    tokens: SessionTokens
    recovery_codes: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class CompleteLogin:
    """Meets challenges.

    A try is counted, and that is committed, before the code is looked at. The code is used up, the challenge taken away
    and the session stored in one transaction: of any number of calls with one code or one challenge, one opens a
    session.
    """

    database: Database[AuthStores]
    challenge_tokens: ChallengeTokens
    admit_attempt: AdmitAttempt
    admit_code: AdmitCode
    use_code: UseCode
    use_passkey: UsePasskey
    enroll: EnrollTotp
    open_session: OpenSession
    send_mail: SendMail
    clock: Clock
    audit: Audit

    def __call__(self, answer: Answer, deadline: Deadline) -> CompletedLogin:
        """Return the tokens of a new session.

        Raises InvalidInput, ChallengeOver, CodeInvalid, PasskeyInvalid, PasskeysOff, SecondFactorMissing,
        CredentialsInvalid, Throttled, TokenTooLarge, DeadlineTooShort, StorageUnavailable, Conflict.
        """
        self._check_form(answer)
        attempt = self._counted(answer, deadline)
        user, opening = attempt.user, attempt.challenge.opening
        password = self.database.read(
            lambda tx: self.admit_attempt.admitted_before(tx, user, opening.network), deadline
        )
        try:
            tokens = self.open_session(user, password, opening, deadline, prove=partial(self._prove, attempt, answer))
        except CodeInvalid:
            self.audit.record(events.CodeRefused(user_id=user.id))
            raise
        except PasskeyInvalid:
            self.use_passkey.refused(user.id)
            raise
        self._record(attempt)
        return CompletedLogin(tokens, attempt.recovery_codes)

    def _check_form(self, answer: Answer) -> None:
        fields = Fields()
        fields.read("challenge_token", bounded_text, answer.challenge_token, least=1, most=4096)
        if answer.passkey:
            fields.read("passkey_json", passkey_answer, answer.passkey)
        else:
            fields.read("code", bounded_text, answer.code, least=1, most=64)
        fields.require_valid()

    def _counted(self, answer: Answer, deadline: Deadline) -> "_Attempt":
        """Count a try, and return what it is made on."""
        challenge_id, secret_hash = self.challenge_tokens.read(answer.challenge_token)
        now = self.clock()
        challenge, user, is_set_up = self.database.read(lambda tx: _found(tx, challenge_id, secret_hash, now), deadline)
        # A signature cannot be guessed, so only the challenge counts how often one is tried.
        code = None if answer.passkey else self.admit_code(user.id, answer.network, deadline)
        counted = self.database.transact(
            lambda tx: tx.challenges.count_try(challenge_id, secret_hash, now), deadline, settle=last_counts
        )
        if counted is None:
            raise ChallengeOver
        recovery_codes = () if is_set_up else tuple(self.enroll.recovery_codes.generate())
        notice = self.send_mail.draft(MailKind.FACTOR_CHANGED, change=APP_ADDED)
        return _Attempt(challenge, user, code, now, notice, recovery_codes)

    def _prove(
        self, attempt: "_Attempt", answer: Answer, tx: AuthStores, current: User, session_id: UUID
    ) -> tuple[str, ...]:
        """Use the challenge and what it was met with up. See open_session.Prove."""
        if not tx.challenges.spend(attempt.challenge.id):
            return self._proved_before(tx, session_id)
        if current.secret_generation != attempt.challenge.secret_generation:
            raise ChallengeOver
        attempt.proof = self._proof(attempt, answer, tx, current)
        return with_second_factor(attempt.challenge.opening.auth_methods, attempt.proof)

    def _proof(self, attempt: "_Attempt", answer: Answer, tx: AuthStores, current: User) -> tuple[str, ...]:
        """Use a code or a passkey up. Returns what it proves."""
        if attempt.code is None:
            attempt.used = self.use_passkey(tx, current.id, answer.challenge_token, answer.passkey, attempt.at)
            return POSSESSION
        attempt.code.succeeded(tx)
        if not attempt.recovery_codes:
            return self.use_code(tx, current.id, answer.code, attempt.at)
        self.enroll.confirm(tx, current, answer.code, attempt.recovery_codes, attempt.at)
        self.send_mail.notify(tx, current, attempt.notice)
        return CODE_OF_APP

    def _proved_before(self, tx: AuthStores, session_id: UUID) -> tuple[str, ...]:
        """Return how the user was proved by an earlier run, whose commit was not acknowledged. Raises ChallengeOver."""
        found = tx.sessions.get(session_id)
        if found is None:
            raise ChallengeOver
        return found[0].auth_methods

    def _record(self, attempt: "_Attempt") -> None:
        if attempt.used:
            self.use_passkey.record(attempt.used)
        elif attempt.recovery_codes:
            self.audit.record(events.TotpEnrolled(user_id=attempt.user.id))
        elif attempt.proof == RECOVERY_CODE:
            self.audit.record(events.RecoveryCodeUsed(user_id=attempt.user.id))


@dataclass(slots=True)
class _Attempt:
    """One try to meet a challenge. With recovery codes where an app is set up by it, and with what the code proved."""

    challenge: Challenge
    user: User
    code: CodeAttempt | None
    at: datetime
    notice: Letter
    recovery_codes: tuple[str, ...] = field(default=(), repr=False)
    proof: tuple[str, ...] | None = None
    used: Used | None = None


def _found(tx: AuthStores, challenge_id: UUID, secret_hash: bytes, now: datetime) -> tuple[Challenge, User, bool]:
    """Return a challenge that is open, its user, and whether they have a second factor. Raises ChallengeOver."""
    challenge = tx.challenges.get(challenge_id, secret_hash, now)
    is_open = challenge is not None and challenge.purpose is Purpose.LOGIN and challenge.tries_left > 0
    user = tx.users.get(challenge.user_id) if challenge and is_open else None
    if challenge is None or user is None or user.secret_generation != challenge.secret_generation:
        raise ChallengeOver
    return challenge, user, second_factors_of(tx, user.id).is_set_up
