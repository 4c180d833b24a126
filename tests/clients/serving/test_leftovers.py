"""A refused call of a guarded service is forgotten at once, and does not wait for the garbage collector.

On asyncio servers grpc itself leaves each call that is aborted to the collector (grpcio 1.85).
"""

import pytest
from authapi.v1.rule_pb2 import Rule
from authclient import Trust

from tests.clients.auth_server import AuthServer
from tests.clients.eventually import eventually
from tests.clients.guarded import KINDS, SIGNED_IN, Guarded, summary
from tests.clients.noted import Noted
from tests.clients.scripted import GOOD, bearer, ended, token
from tests.leftovers import leftover_calls

ROUNDS = 3
TELLER = Rule(any_role=["teller"])

REFUSED = {
    "UNAUTHENTICATED TOKEN_MISSING": (SIGNED_IN, ()),
    "UNAUTHENTICATED TOKEN_INVALID": (SIGNED_IN, bearer("no.such.token")),
    "UNAUTHENTICATED TOKEN_EXPIRED": (SIGNED_IN, bearer(token(exp=1, iat=0, nbf=0, auth_time=0))),
    "UNAUTHENTICATED SESSION_ENDED": (SIGNED_IN, GOOD),
    "PERMISSION_DENIED ROLE_MISSING": (TELLER, GOOD),
    "PERMISSION_DENIED METHOD_WITHOUT_RULE": (None, GOOD),
}
each_refusal = pytest.mark.parametrize("reason", REFUSED)


@pytest.fixture
def told(auth: AuthServer, trust: Trust, reason: str) -> Trust:
    """Return a Trust that knows of the session that ended, where that is the reason."""
    if reason.endswith("SESSION_ENDED"):
        auth.revoke(ended())
        eventually(lambda: trust.knowledge.view.sessions, "the rule")
    return trust


@each_refusal
def test_a_refused_call_leaves_nothing_to_the_collector(told: Trust, noted: Noted, reason: str) -> None:
    rule, metadata = REFUSED[reason]
    handlers = noted.by_kind
    with Guarded(told, handlers, dict.fromkeys(handlers, rule)) as shop, leftover_calls() as found:
        for kind in KINDS * ROUNDS:
            assert summary(shop.call(kind, metadata=metadata)) == reason
    assert found == []
