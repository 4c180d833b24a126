"""Asking a user whose password is right for a second factor."""

from dataclasses import dataclass

from authservice.domain import events
from authservice.domain.challenge import CHALLENGE_LIFE, Challenge, IssuedChallenge, Method, Purpose
from authservice.domain.deadline import Deadline
from authservice.domain.errors import Conflict, CredentialsInvalid
from authservice.domain.passkey import Passkey
from authservice.domain.second_factor import SecondFactorPolicy, SecondFactors, TotpEnrollment, TotpFactor
from authservice.domain.session import Opening, SessionEnd
from authservice.domain.user import NewPassword, User
from authservice.ports import Audit, AuthStores, ChallengeTokens, Clock, Database, NewId, PasskeyCeremonies, last_counts
from authservice.usecases.steps.enroll_totp import EnrollTotp
from authservice.usecases.steps.set_password import SetPassword


@dataclass(frozen=True, slots=True)
class AskSecondFactor:
    """Gives challenges out, to users who have a second factor and to those who have to have one."""

    database: Database[AuthStores]
    policy: SecondFactorPolicy
    challenge_tokens: ChallengeTokens
    enroll: EnrollTotp
    set_password: SetPassword
    ceremonies: PasskeyCeremonies | None
    new_id: NewId
    clock: Clock
    audit: Audit

    def __call__(
        self,
        user: User,
        factors: SecondFactors,
        opening: Opening,
        deadline: Deadline,
        new_password: NewPassword | None = None,
    ) -> IssuedChallenge | None:
        """Return what is asked for before the session begins; None where the password is enough.

        A `new_password` is set in the transaction that gives the challenge out.

        Raises CredentialsInvalid if what proved the user was changed meanwhile, DeadlineTooShort, StorageUnavailable,
        Conflict.
        """
        if factors.is_set_up:
            return self._issue(user, self._asked(factors), opening, deadline, new_password)
        if not self.policy.asks(user.roles):
            return None
        asked = _Asked((Method.ENROLL_TOTP,), *self.enroll.new_factor(user, self.clock()))
        return self._issue(user, asked, opening, deadline, new_password)

    def _asked(self, factors: SecondFactors) -> "_Asked":
        # Where the service was told of no passkeys any more, those who have some are still asked: for recovery codes.
        by_passkey = factors.passkeys if self.ceremonies else ()
        methods = (
            *((Method.TOTP,) if factors.has_app else ()),
            *((Method.PASSKEY,) if by_passkey else ()),
            Method.RECOVERY_CODE,
        )
        return _Asked(methods, passkeys=by_passkey)

    def _issue(
        self, user: User, asked: "_Asked", opening: Opening, deadline: Deadline, new_password: NewPassword | None
    ) -> IssuedChallenge:
        now, challenge_id = self.clock(), self.new_id()
        replacement = self.set_password.draft(new_password, SessionEnd.PASSWORD_CHANGED, now) if new_password else None
        secret_generation = user.secret_generation + (replacement is not None)
        text, secret_hash = self.challenge_tokens.new(challenge_id)
        challenge = Challenge(
            challenge_id, user.id, Purpose.LOGIN, secret_hash, secret_generation, now + CHALLENGE_LIFE, opening
        )

        def store(tx: AuthStores) -> None:
            if replacement and self.set_password(tx, user, replacement) is None:
                raise CredentialsInvalid
            tx.users.lock(user.id)
            if asked.factor and not tx.totp_factors.begin(asked.factor):
                raise Conflict  # An app was set up since the user was read. The next attempt asks for its code.
            tx.challenges.add(challenge, now)

        self.database.transact(store, deadline, settle=last_counts)
        self.audit.record(events.SecondFactorAsked(user_id=user.id))
        options = self.ceremonies.request_options(text, asked.passkeys) if self.ceremonies and asked.passkeys else ""
        return IssuedChallenge(text, asked.methods, challenge.expires_at, asked.enrollment, options)


@dataclass(frozen=True, slots=True)
class _Asked:
    """How a challenge can be met, and what is set up by it."""

    methods: tuple[Method, ...]
    factor: TotpFactor | None = None
    enrollment: TotpEnrollment | None = None
    passkeys: tuple[Passkey, ...] = ()
