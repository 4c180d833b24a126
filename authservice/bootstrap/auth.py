"""Puts the area `auth` together."""

from uuid6 import uuid7

from authservice.bootstrap import second_factor
from authservice.bootstrap.parts import Parts
from authservice.bootstrap.secrets import PEPPER, REFRESH_TOKENS
from authservice.bootstrap.sizes import session_limits
from authservice.security.access_tokens import SignedAccessTokens
from authservice.security.challenge_tokens import OpaqueChallengeTokens
from authservice.security.emails import Emails
from authservice.security.examination import TokenExamination
from authservice.security.password_rules import GuessabilityRules
from authservice.security.passwords import BcryptPasswords
from authservice.security.refresh_tokens import SealedRefreshTokens
from authservice.security.user_names import PrecisNames
from authservice.storage.auth.session_ends import BatchedSessionEnds
from authservice.usecases.auth import AuthStories
from authservice.usecases.auth.complete_login import CompleteLogin
from authservice.usecases.auth.explain import Explain
from authservice.usecases.auth.login import Login
from authservice.usecases.auth.logout import Logout
from authservice.usecases.auth.refresh import Refresh
from authservice.usecases.auth.register import Register
from authservice.usecases.auth.step_up import StepUp
from authservice.usecases.auth.verify import Verify
from authservice.usecases.steps.ask_second_factor import AskSecondFactor
from authservice.usecases.steps.count_attempt import CountAttempt
from authservice.usecases.steps.issue_tokens import IssueTokens
from authservice.usecases.steps.open_session import OpenSession


def build(parts: Parts) -> AuthStories:
    """Return the area's stories."""
    settings, database, clock, audit = parts.settings, parts.database, parts.clock, parts.audit
    names, emails, limits = PrecisNames(), Emails(), session_limits(settings)
    rules = GuessabilityRules(settings.password_min_length)
    passwords = BcryptPasswords(parts.own_secrets[PEPPER], parts.hash_pool, parts.hash_cost)
    access_tokens = SignedAccessTokens(settings.issuer, settings.audience, parts.keys)
    refresh_tokens = SealedRefreshTokens(parts.own_secrets[REFRESH_TOKENS])
    issue_tokens = IssueTokens(access_tokens, limits)
    count_attempt = CountAttempt(database, parts.fingerprints, clock)
    open_session = OpenSession(database, refresh_tokens, issue_tokens, limits, new_id=uuid7, clock=clock, audit=audit)
    factor, challenge_tokens = second_factor.build(parts), OpaqueChallengeTokens()
    ask = AskSecondFactor(
        database, factor.policy, challenge_tokens, factor.enroll, new_id=uuid7, clock=clock, audit=audit
    )
    examination = TokenExamination(settings.issuer, settings.audience, parts.keys)
    return AuthStories(
        register=Register(database, names, emails, rules, passwords, new_id=uuid7, clock=clock, audit=audit),
        login=Login(database, names, emails, passwords, count_attempt, ask, open_session, audit),
        complete_login=CompleteLogin(
            database,
            challenge_tokens,
            factor.count_code,
            factor.use_code,
            factor.enroll,
            open_session,
            parts.fingerprints,
            clock,
            audit,
        ),
        step_up=StepUp(
            database,
            passwords,
            count_attempt,
            factor.count_code,
            factor.use_code,
            issue_tokens,
            limits,
            clock,
            audit,
        ),
        refresh=Refresh(database, refresh_tokens, issue_tokens, limits, clock, audit),
        logout=Logout(database, BatchedSessionEnds(database), access_tokens, refresh_tokens, clock, audit),
        verify=Verify(access_tokens, parts.live_sessions, clock),
        explain=Explain(database, examination, clock),
    )
