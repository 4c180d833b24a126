"""CompleteLogin: open the session of a user who meets the challenge of a login."""

from dataclasses import dataclass, field
from datetime import datetime
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
        challenge, user, has_factor = self.database.transact(
            lambda tx: self._count(tx, challenge_id, secret_hash, now), deadline, settle=last_counts
        )
        recovery_codes = () if has_factor else tuple(self.enroll.recovery_codes.generate())
        proofs: list[tuple[str, ...]] = []

        def prove(tx: AuthStores, current: User, session_id: UUID) -> tuple[str, ...]:
            if not tx.challenges.spend(challenge.id):
                return self._proved_before(tx, session_id)
            if current.secret_generation != challenge.secret_generation:
                raise ChallengeOver
            self.count_code.forget(tx, user.id)
            if has_factor:
                proofs.append(self.use_code(tx, user.id, answer.code, now))
            else:
                self.enroll.confirm(tx, user, answer.code, recovery_codes, now)
                proofs.append(CODE_OF_APP)
            return with_second_factor(challenge.opening.auth_methods, proofs[-1])

        subject = subject_of(user.id, self.fingerprints)
        try:
            tokens = self.open_session(user, subject, challenge.opening, deadline, prove)
        except CodeInvalid:
            self.audit.record(events.CodeRefused(user_id=user.id))
            raise
        if not has_factor:
            self.audit.record(events.TotpEnrolled(user_id=user.id))
        elif proofs[-1] == RECOVERY_CODE:
            self.audit.record(events.RecoveryCodeUsed(user_id=user.id))
        return CompletedLogin(tokens, recovery_codes)

    def _check_form(self, answer: Answer) -> None:
        fields = Fields()
        fields.read("challenge_token", bounded_text, answer.challenge_token, least=1, most=4096)
        fields.read("code", bounded_text, answer.code, least=1, most=64)
        fields.require_valid()

    def _proved_before(self, tx: AuthStores, session_id: UUID) -> tuple[str, ...]:
        """Return how the user was proved by an earlier run, whose commit was not acknowledged. Raises ChallengeOver."""
        found = tx.sessions.get(session_id)
        if found is None:
            raise ChallengeOver
        return found[0].auth_methods

    def _count(
        self, tx: AuthStores, challenge_id: UUID, secret_hash: bytes, now: datetime
    ) -> tuple[Challenge, User, bool]:
        """Count a try. Returns the challenge, its user, and whether they have a second factor already."""
        challenge = tx.challenges.count_try(challenge_id, secret_hash, now)
        if challenge is None or challenge.purpose is not Purpose.LOGIN:
            raise ChallengeOver
        self.count_code.count_attempt(tx, challenge.user_id, now)
        user = tx.users.by_id(challenge.user_id)
        if user is None or user.secret_generation != challenge.secret_generation:
            raise ChallengeOver
        factor = tx.totp_factors.get(user.id)
        return challenge, user, factor is not None and factor.is_confirmed
