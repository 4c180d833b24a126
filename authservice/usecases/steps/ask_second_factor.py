"""Asking a user whose password is right for a second factor."""

from dataclasses import dataclass

from authservice.domain import events
from authservice.domain.challenge import CHALLENGE_LIFE, Challenge, IssuedChallenge, Method, Purpose
from authservice.domain.deadline import Deadline
from authservice.domain.errors import Conflict
from authservice.domain.second_factor import SecondFactorPolicy, TotpEnrollment, TotpFactor
from authservice.domain.session import Opening
from authservice.domain.user import User
from authservice.ports import Audit, AuthStores, ChallengeTokens, Clock, Database, NewId, last_counts
from authservice.usecases.steps.enroll_totp import EnrollTotp


@dataclass(frozen=True, slots=True)
class AskSecondFactor:
    """Gives challenges out, to users who have a second factor and to those who have to have one."""

    database: Database[AuthStores]
    policy: SecondFactorPolicy
    challenge_tokens: ChallengeTokens
    enroll: EnrollTotp
    new_id: NewId
    clock: Clock
    audit: Audit

    def __call__(
        self, user: User, factor: TotpFactor | None, opening: Opening, deadline: Deadline
    ) -> IssuedChallenge | None:
        """Return what is asked for before the session begins; None where the password is enough.

        Raises DeadlineTooShort, StorageUnavailable, Conflict.
        """
        if factor and factor.is_confirmed:
            return self._issue(user, (Method.TOTP, Method.RECOVERY_CODE), opening, deadline)
        if not self.policy.asks(user.roles):
            return None
        factor, enrollment = self.enroll.new_factor(user, self.clock())
        return self._issue(user, (Method.ENROLL_TOTP,), opening, deadline, factor, enrollment)

    def _issue(
        self,
        user: User,
        methods: tuple[Method, ...],
        opening: Opening,
        deadline: Deadline,
        factor: TotpFactor | None = None,
        enrollment: TotpEnrollment | None = None,
    ) -> IssuedChallenge:
        now, challenge_id = self.clock(), self.new_id()
        text, secret_hash = self.challenge_tokens.new(challenge_id)
        challenge = Challenge(
            challenge_id, user.id, Purpose.LOGIN, secret_hash, user.secret_generation, now + CHALLENGE_LIFE, opening
        )

        def store(tx: AuthStores) -> None:
            tx.users.lock(user.id)
            if factor and not tx.totp_factors.begin(factor):
                raise Conflict  # An app was set up since the user was read. The next attempt asks for its code.
            tx.challenges.add(challenge, now)

        self.database.transact(store, deadline, settle=last_counts)
        self.audit.record(events.SecondFactorAsked(user_id=user.id))
        return IssuedChallenge(text, methods, challenge.expires_at, enrollment)
