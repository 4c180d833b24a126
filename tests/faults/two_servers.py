"""What two servers of one database promise together, wherever the database's nodes stand."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from authapi.v1 import auth_service_pb2_grpc as rpc

from authservice.domain.tokens import SessionTokens
from tests.faults.seeding import Seeder
from tests.observed import Refused, logout, refresh, refusal, verify

Stub = rpc.AuthServiceStub


def accepted_after_logout(a: Stub, b: Stub, sessions: Iterable[SessionTokens]) -> int:
    """Log each session out at one server, in turn, and return how many tokens the other one still accepts."""
    stale = 0
    for number, tokens in enumerate(sessions):
        here, there = (a, b) if number % 2 else (b, a)
        assert verify(there, tokens.access_token), "it has to be alive before, or its end would say nothing"
        assert logout(here, tokens.access_token) == 1
        stale += not is_refused(there, tokens.access_token)
    return stale


def require_one_successor(
    a: Stub, b: Stub, pool: ThreadPoolExecutor, parallel: int, tokens: SessionTokens, seeds: Seeder
) -> None:
    """Refresh with one token so often at once, at both servers: all get the same successor, made once."""
    calls = [pool.submit(refresh, (a, b)[number % 2], tokens.refresh_token) for number in range(parallel)]
    assert len({call.result().refresh_token for call in calls}) == 1
    assert seeds.generation(tokens.session_id) == 1


def is_refused(stub: Stub, access_token: str) -> bool:
    """Tell whether Verify says that a token's session has ended."""
    try:
        return refusal(verify, stub, access_token).reason == "SESSION_ENDED"
    except Refused:
        return False
