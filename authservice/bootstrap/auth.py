"""Puts the area `auth` together."""

from dataclasses import replace

from uuid6 import uuid7

from authservice.bootstrap import second_factor
from authservice.bootstrap.mail import redeem_token, send_mail
from authservice.bootstrap.parts import Parts
from authservice.bootstrap.passwords import password_policy, passwords
from authservice.bootstrap.secrets import REFRESH_TOKENS
from authservice.bootstrap.sizes import session_limits
from authservice.bootstrap.throttling import admit_attempt, admit_registration
from authservice.domain.registration import Admission
from authservice.security.access_tokens import SignedAccessTokens
from authservice.security.challenge_tokens import OpaqueChallengeTokens
from authservice.security.emails import Emails
from authservice.security.examination import TokenExamination
from authservice.security.refresh_tokens import SealedRefreshTokens
from authservice.security.user_names import PrecisNames
from authservice.storage.auth.session_ends import BatchedSessionEnds
from authservice.usecases.auth import AuthStories
from authservice.usecases.auth.begin_passkey_login import BeginPasskeyLogin
from authservice.usecases.auth.complete_login import CompleteLogin
from authservice.usecases.auth.explain import Explain
from authservice.usecases.auth.login import Login
from authservice.usecases.auth.login_with_passkey import LoginWithPasskey
from authservice.usecases.auth.logout import Logout
from authservice.usecases.auth.refresh import Refresh
from authservice.usecases.auth.register import Register
from authservice.usecases.auth.step_up import StepUp
from authservice.usecases.auth.verify import Verify
from authservice.usecases.steps.ask_second_factor import AskSecondFactor
from authservice.usecases.steps.find_user import FindUser
from authservice.usecases.steps.issue_tokens import IssueTokens
from authservice.usecases.steps.open_session import OpenSession
from authservice.usecases.steps.require_confirmed import RequireConfirmed
from authservice.usecases.steps.set_password import SetPassword


def build(parts: Parts) -> AuthStories:
    """Return the area's stories."""
    settings, database, clock, audit = parts.settings, parts.database, parts.clock, parts.audit
    rules, hashes, limits = password_policy(parts.settings), passwords(parts), session_limits(settings)
    send, admit = send_mail(parts), admit_attempt(parts)
    access_tokens = SignedAccessTokens(settings.issuer, settings.audience, parts.keys)
    refresh_tokens = SealedRefreshTokens(parts.own_secrets[REFRESH_TOKENS])
    issue_tokens = IssueTokens(access_tokens, limits)
    set_password = SetPassword(send)
    open_session = OpenSession(
        database, refresh_tokens, issue_tokens, limits, set_password, send, new_id=uuid7, clock=clock, audit=audit
    )
    factor, challenge_tokens = second_factor.build(parts), OpaqueChallengeTokens()
    ask = AskSecondFactor(
        database,
        factor.policy,
        challenge_tokens,
        factor.enroll,
        set_password,
        factor.use_passkey.ceremonies,
        new_id=uuid7,
        clock=clock,
        audit=audit,
    )
    examination = TokenExamination(settings.issuer, settings.audience, parts.keys)
    confirms_emails = settings.email_confirmation == "required"
    register = Register(
        database,
        PrecisNames(),
        Emails(),
        rules,
        hashes,
        admit_registration(parts),
        redeem_token(parts),
        send,
        Admission(settings.registration),
        confirms_emails,
        parts.fingerprints,
        new_id=uuid7,
        clock=clock,
        audit=audit,
    )
    confirmed = RequireConfirmed(database, audit, confirms_emails)
    return AuthStories(
        register=register,
        register_by_operator=replace(register, admission=Admission.OPERATOR),
        login=Login(
            database,
            FindUser(PrecisNames(), Emails(), by_confirmed_only=confirms_emails),
            rules,
            hashes,
            admit,
            confirmed,
            ask,
            open_session,
            clock,
            audit,
        ),
        complete_login=CompleteLogin(
            database,
            challenge_tokens,
            admit,
            factor.admit_code,
            factor.use_code,
            factor.use_passkey,
            factor.enroll,
            open_session,
            send,
            clock,
            audit,
        ),
        step_up=StepUp(
            database,
            hashes,
            admit,
            factor.admit_code,
            factor.use_code,
            factor.use_passkey,
            factor.ceremony_tokens,
            issue_tokens,
            limits,
            clock,
            audit,
        ),
        begin_passkey_login=BeginPasskeyLogin(factor.begin_ceremony, factor.use_passkey),
        login_with_passkey=LoginWithPasskey(
            database, factor.ceremony_tokens, factor.use_passkey, admit, confirmed, open_session, clock
        ),
        refresh=Refresh(database, refresh_tokens, issue_tokens, limits, clock, audit),
        logout=Logout(database, BatchedSessionEnds(database), access_tokens, refresh_tokens, clock, audit),
        verify=Verify(access_tokens, parts.live_sessions, clock),
        explain=Explain(database, examination, clock),
    )
