"""CompleteLogin: open the session of a user who meets the challenge of a login."""

from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from uuid import UUID

from authservice.domain import events
from authservice.domain.challenge import Challenge, Purpose
from authservice.domain.deadline import Deadline
from authservice.domain.errors import ChallengeOver, CodeInvalid
from authservice.domain.fields import Fields, bounded_text
from authservice.domain.second_factor import CODE_OF_APP, RECOVERY_CODE, with_second_factor
from authservice.domain.tokens import SessionTokens
from authservice.domain.user import User
from authservice.ports import Audit, AuthStores, ChallengeTokens, Clock, Database, Fingerprints, last_counts
from authservice.usecases.steps.count_attempt import subject_of
from authservice.usecases.steps.count_code import CountCode
from authservice.usecases.steps.enroll_totp import EnrollTotp
from authservice.usecases.steps.open_session import OpenSession
from authservice.usecases.steps.use_code import UseCode


@dataclass(frozen=True, slots=True)
class Answer:
    """What a caller sends to meet a challenge."""

    challenge_token: str = field(repr=False)
    code: str = field(repr=False)


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
    count_code: CountCode
    use_code: UseCode
    enroll: EnrollTotp
    open_session: OpenSession
    fingerprints: Fingerprints
    clock: Clock
    audit: Audit

    def __call__(self, answer: Answer, deadline: Deadline) -> CompletedLogin:
        """Return the tokens of a new session.

        Raises InvalidInput, ChallengeOver, CodeInvalid, SecondFactorMissing, CredentialsInvalid, TokenTooLarge,
        DeadlineTooShort, StorageUnavailable, Conflict.
        """
        self._check_form(answer)
        challenge_id, secret_hash = self.challenge_tokens.read(answer.challenge_token)
        now = self.clock()
        attempt = self.database.transact(
            lambda tx: self._count(tx, challenge_id, secret_hash, now), deadline, settle=last_counts
        )
        user, opening = attempt.user, attempt.challenge.opening
        subject = subject_of(user.id, self.fingerprints)
        prove = partial(self._prove, attempt, answer.code, now)
        try:
            tokens = self.open_session(user, subject, opening, deadline, prove)
        except CodeInvalid:
            self.audit.record(events.CodeRefused(user_id=user.id))
            raise
        self._record(attempt)
        return CompletedLogin(tokens, attempt.recovery_codes)

    def _check_form(self, answer: Answer) -> None:
        fields = Fields()
        fields.read("challenge_token", bounded_text, answer.challenge_token, least=1, most=4096)
        fields.read("code", bounded_text, answer.code, least=1, most=64)
        fields.require_valid()

    def _count(self, tx: AuthStores, challenge_id: UUID, secret_hash: bytes, now: datetime) -> "_Attempt":
        """Count a try, and return what it is made on."""
        challenge = tx.challenges.count_try(challenge_id, secret_hash, now)
        if challenge is None or challenge.purpose is not Purpose.LOGIN:
            raise ChallengeOver
        self.count_code.count_attempt(tx, challenge.user_id, now)
        user = tx.users.by_id(challenge.user_id)
        if user is None or user.secret_generation != challenge.secret_generation:
            raise ChallengeOver
        factor = tx.totp_factors.get(user.id)
        if factor and factor.is_confirmed:
            return _Attempt(challenge, user)
        return _Attempt(challenge, user, tuple(self.enroll.recovery_codes.generate()))

    def _prove(
        self, attempt: "_Attempt", code: str, now: datetime, tx: AuthStores, current: User, session_id: UUID
    ) -> tuple[str, ...]:
        """Use the challenge and the code up. See open_session.Prove."""
        if not tx.challenges.spend(attempt.challenge.id):
            return self._proved_before(tx, session_id)
        if current.secret_generation != attempt.challenge.secret_generation:
            raise ChallengeOver
        self.count_code.forget(tx, current.id)
        if attempt.recovery_codes:
            self.enroll.confirm(tx, current, code, attempt.recovery_codes, now)
            attempt.proof = CODE_OF_APP
        else:
            attempt.proof = self.use_code(tx, current.id, code, now)
        return with_second_factor(attempt.challenge.opening.auth_methods, attempt.proof)

    def _proved_before(self, tx: AuthStores, session_id: UUID) -> tuple[str, ...]:
        """Return how the user was proved by an earlier run, whose commit was not acknowledged. Raises ChallengeOver."""
        found = tx.sessions.get(session_id)
        if found is None:
            raise ChallengeOver
        return found[0].auth_methods

    def _record(self, attempt: "_Attempt") -> None:
        if attempt.recovery_codes:
            self.audit.record(events.TotpEnrolled(user_id=attempt.user.id))
        elif attempt.proof == RECOVERY_CODE:
            self.audit.record(events.RecoveryCodeUsed(user_id=attempt.user.id))


@dataclass(slots=True)
class _Attempt:
    """One try to meet a challenge. With recovery codes where an app is set up by it, and with what the code proved."""

    challenge: Challenge
    user: User
    recovery_codes: tuple[str, ...] = field(default=(), repr=False)
    proof: tuple[str, ...] | None = None
