"""StepUp: have the user of a session prove once more who they are."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from authservice.domain import events
from authservice.domain.caller import Caller
from authservice.domain.deadline import Deadline
from authservice.domain.errors import (
    AuthError,
    ChallengeOver,
    CodeInvalid,
    Conflict,
    CredentialsInvalid,
    InvalidInput,
    MfaRequired,
    PasskeyInvalid,
    SessionEnded,
    Violation,
)
from authservice.domain.fields import Fields, bounded_text, passkey_answer
from authservice.domain.passkey import POSSESSION
from authservice.domain.second_factor import RECOVERY_CODE, SEVERAL, with_second_factor
from authservice.domain.session import PASSWORD_ALONE, Session, SessionLimits
from authservice.domain.tokens import AccessToken
from authservice.domain.user import User
from authservice.ports import Audit, AuthStores, CeremonyTokens, Clock, Database, Passwords, success_counts
from authservice.usecases.steps.admit_attempt import AdmitAttempt, Attempt
from authservice.usecases.steps.admit_code import AdmitCode
from authservice.usecases.steps.begin_ceremony import BY_PASSKEY
from authservice.usecases.steps.issue_tokens import IssueTokens
from authservice.usecases.steps.second_factors import second_factors_of
from authservice.usecases.steps.use_code import UseCode
from authservice.usecases.steps.use_passkey import Used, UsePasskey

_Prove: TypeAlias = Callable[[AuthStores, User], tuple[str, ...]]
"""Uses up what proves a user, who is locked. Returns what it proves, as RFC 8176 names."""
_Together: TypeAlias = Callable[[tuple[str, ...], tuple[str, ...]], tuple[str, ...]]
"""Returns how a user was proved in all, from how they were before and what was proved now."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What a caller sends to prove who they are: one of the three.

    Args:
        passkey: the token with which the browser was asked, and its answer.
    """

    password: str | None = field(default=None, repr=False)
    code: str | None = field(default=None, repr=False)
    passkey: tuple[str, str] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class StepUp:
    """Moves when and how the user of a session was proved last.

    Who has a second factor proves that: what a thief of the password can do, the owner's phone is there to prevent.
    """

    database: Database[AuthStores]
    passwords: Passwords
    admit_attempt: AdmitAttempt
    admit_code: AdmitCode
    use_code: UseCode
    use_passkey: UsePasskey
    ceremony_tokens: CeremonyTokens
    issue_tokens: IssueTokens
    limits: SessionLimits
    clock: Clock
    audit: Audit

    def __call__(self, proof: Proof, caller: Caller, deadline: Deadline) -> AccessToken:
        """Return an access token of the caller's session that tells of the proof.

        Raises InvalidInput, CredentialsInvalid, MfaRequired, CodeInvalid, SecondFactorMissing, PasskeyInvalid,
        PasskeysOff, ChallengeOver, Throttled, SessionEnded, Overloaded, TokenTooLarge, DeadlineTooShort,
        StorageUnavailable, Conflict.
        """
        self._check_form(proof)
        try:
            if proof.password is not None:
                return self._by_password(proof.password, caller, deadline)
            if proof.passkey is not None:
                return self._by_passkey(*proof.passkey, caller, deadline)
            assert proof.code is not None
            return self._by_code(proof.code, caller, deadline)
        except CodeInvalid:
            self.audit.record(events.CodeRefused(user_id=caller.user_id))
            raise
        except PasskeyInvalid:
            self.use_passkey.refused(caller.user_id)
            raise
        except (CredentialsInvalid, MfaRequired):
            self.audit.record(events.StepUpRefused(user_id=caller.user_id, session_id=caller.session_id))
            raise

    def _check_form(self, proof: Proof) -> None:
        if proof.password is None and proof.code is None and proof.passkey is None:
            raise InvalidInput(Violation("proof", "is required: a password, a code or a passkey"))
        fields = Fields()
        if proof.password is not None:
            fields.read("password", bounded_text, proof.password, least=1, most=1024)
        if proof.code is not None:
            fields.read("code", bounded_text, proof.code, least=1, most=64)
        if proof.passkey is not None:
            token, answer = proof.passkey
            fields.read("passkey.ceremony_token", bounded_text, token, least=1, most=4096)
            fields.read("passkey.credential_json", passkey_answer, answer)
        fields.require_valid()

    def _by_password(self, password: str, caller: Caller, deadline: Deadline) -> AccessToken:
        self.passwords.require_room()
        user, attempt = self.database.read(lambda tx: self._attempt(tx, password, caller), deadline)
        self.admit_attempt(attempt, deadline)
        if not self.passwords.check(password, user.password_hash, deadline).matches:
            self.admit_attempt.failed(attempt, deadline)
            raise CredentialsInvalid

        def prove(tx: AuthStores, current: User) -> tuple[str, ...]:
            if current.secret_generation != user.secret_generation:
                raise Conflict  # The password or the factor has changed while the hash was computed.
            attempt.succeeded(tx, current, self.clock())
            return PASSWORD_ALONE

        return self._move(caller, prove, _with_password, deadline)

    def _attempt(self, tx: AuthStores, password: str, caller: Caller) -> tuple[User, Attempt]:
        user = tx.users.get(caller.user_id)
        if user is None:
            raise SessionEnded
        if second_factors_of(tx, user.id).is_set_up:
            raise MfaRequired
        return user, self.admit_attempt.prepare(tx, user, user.name.canonical, password, caller.network)

    def _by_code(self, code: str, caller: Caller, deadline: Deadline) -> AccessToken:
        attempt, now = self.admit_code(caller.user_id, caller.network, deadline), self.clock()
        proofs: list[tuple[str, ...]] = []

        def prove(tx: AuthStores, current: User) -> tuple[str, ...]:
            proofs.append(self.use_code(tx, current.id, code, now))
            attempt.succeeded(tx)
            return proofs[-1]

        token = self._move(caller, prove, with_second_factor, deadline)
        if RECOVERY_CODE in proofs:
            self.audit.record(events.RecoveryCodeUsed(user_id=caller.user_id))
        return token

    def _by_passkey(self, token: str, answer: str, caller: Caller, deadline: Deadline) -> AccessToken:
        now = self.clock()
        ceremony_id, until = self.ceremony_tokens.read(token, BY_PASSKEY, "", now)
        found: list[Used] = []

        def prove(tx: AuthStores, current: User) -> tuple[str, ...]:
            found.append(self.use_passkey(tx, current.id, token, answer, now))
            if not tx.challenges.use_up(ceremony_id, current.id, until):
                raise ChallengeOver
            return POSSESSION

        moved = self._move(caller, prove, with_second_factor, deadline)
        self.use_passkey.record(found[0])
        return moved

    def _move(self, caller: Caller, prove: _Prove, together: _Together, deadline: Deadline) -> AccessToken:
        """Have the session tell of a proof, in the transaction in which that is used up."""
        now = self.clock()

        def work(tx: AuthStores) -> tuple[Session, AccessToken] | AuthError:
            user = tx.users.lock(caller.user_id)
            if user is None or not user.is_active:
                raise SessionEnded
            try:
                proof = prove(tx, user)
            except (
                CodeInvalid,
                ChallengeOver,
                PasskeyInvalid,
            ) as refused:  # Answered, and not raised: see success_counts.
                return refused
            held = tx.sessions.hold_each({caller.session_id}).get(caller.session_id)
            if held is None or not held[0].is_live(now):
                raise SessionEnded
            session = held[0].proved(together(held[0].auth_methods, proof), now, self.limits)
            tx.sessions.step_up(session)
            return session, self.issue_tokens.access_token(user, session, now)

        moved = self.database.transact(work, deadline, settle=success_counts)
        if isinstance(moved, AuthError):
            raise moved
        session, token = moved
        self.audit.record(
            events.SteppedUp(
                user_id=caller.user_id, session_id=caller.session_id, methods=" ".join(session.auth_methods)
            )
        )
        return token


def _with_password(methods: tuple[str, ...], proof: tuple[str, ...]) -> tuple[str, ...]:
    # Only those without a second factor get here.
    return tuple(name for name in dict.fromkeys((*methods, *proof)) if name != SEVERAL)
