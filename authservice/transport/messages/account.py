"""What people see of their own accounts."""

from collections.abc import Sequence

from authapi.v1 import account_service_pb2 as api

from authservice.domain.caller import Caller
from authservice.domain.passkey import Passkey
from authservice.domain.second_factor import SecondFactors
from authservice.domain.session import Session
from authservice.domain.strength import Strength
from authservice.domain.user import AccountDetails
from authservice.transport.messages.times import timestamp
from authservice.usecases.account.update_account import AccountChanges

MOST_LISTED = 100


def listed_sessions(sessions: Sequence[Session], caller: Caller) -> api.ListSessionsResponse:
    """Return sessions as their user sees them who calls from one of them."""
    return api.ListSessionsResponse(
        sessions=[_session(each, is_current=each.id == caller.session_id) for each in sessions[:MOST_LISTED]],
        total_size=len(sessions),
    )


def estimated(strength: Strength) -> api.EstimatePasswordResponse:
    """Return what a password is worth as whoever chooses it is told."""
    return api.EstimatePasswordResponse(
        bits=strength.bits,
        acceptable=strength.is_acceptable,
        problem=strength.reason,
        description=strength.problem,
        advice=strength.advice,
    )


def account(details: AccountDetails) -> api.Account:
    """Return an account as its owner sees it."""
    user = details.user
    return api.Account(
        user_id=str(user.id),
        user_name=user.name.typed,
        email=user.email or "",
        email_confirmed=details.is_email_confirmed,
        display_name=user.display_name or "",
        locale=user.locale or "",
        roles=user.roles,
        create_time=timestamp(user.created_at),
        erase_time=timestamp(user.erase_at) if user.erase_at else None,
    )


def account_changes(request: api.UpdateAccountRequest) -> AccountChanges:
    """Return what is to change of an account."""
    return AccountChanges(
        request.display_name if request.HasField("display_name") else None,
        request.locale if request.HasField("locale") else None,
    )


def listed_factors(factors: SecondFactors, recovery_codes_left: int) -> api.ListFactorsResponse:
    """Return second factors as their user sees them."""
    answer = api.ListFactorsResponse(recovery_codes_left=recovery_codes_left)
    if factors.app and factors.app.confirmed_at:
        answer.factors.add(kind=api.FACTOR_KIND_TOTP, create_time=timestamp(factors.app.confirmed_at))
    answer.factors.extend(map(passkey_factor, factors.passkeys))
    return answer


def passkey_factor(passkey: Passkey) -> api.Factor:
    """Return a passkey as its user sees it."""
    return api.Factor(
        kind=api.FACTOR_KIND_PASSKEY,
        create_time=timestamp(passkey.created_at),
        passkey_id=str(passkey.id),
        name=passkey.name,
        last_used_time=timestamp(passkey.last_used_at) if passkey.last_used_at else None,
        backed_up=passkey.is_backed_up,
    )


def _session(session: Session, *, is_current: bool) -> api.Session:
    return api.Session(
        session_id=str(session.id),
        client_label=session.client_label,
        current=is_current,
        create_time=timestamp(session.opened_at or session.authenticated_at),
        last_used_time=timestamp(session.used_at),
        idle_expire_time=timestamp(session.idle_end),
        expire_time=timestamp(session.absolute_end),
        network=session.network,
        auth_methods=session.auth_methods,
    )
