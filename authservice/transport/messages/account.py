"""What people see of their own accounts."""

from collections.abc import Sequence

from authapi.v1 import account_service_pb2 as api

from authservice.domain.caller import Caller
from authservice.domain.second_factor import Factors
from authservice.domain.session import Session
from authservice.transport.messages.times import timestamp

MOST_LISTED = 100


def listed_sessions(sessions: Sequence[Session], caller: Caller) -> api.ListSessionsResponse:
    """Return sessions as their user sees them who calls from one of them."""
    return api.ListSessionsResponse(
        sessions=[_session(each, is_current=each.id == caller.session_id) for each in sessions[:MOST_LISTED]],
        total_size=len(sessions),
    )


def listed_factors(factors: Factors) -> api.ListFactorsResponse:
    """Return second factors as their user sees them."""
    answer = api.ListFactorsResponse(recovery_codes_left=factors.recovery_codes_left)
    if factors.totp_since:
        answer.factors.add(kind=api.FACTOR_KIND_TOTP, create_time=timestamp(factors.totp_since))
    return answer


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
