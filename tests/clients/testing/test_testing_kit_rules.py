"""A service author's tests of rules, with authclient.testing, in every kind of server."""

from collections.abc import Callable, Iterator
from typing import Any

import grpc
import grpc_testing
import pytest
from authclient import reason_of
from authclient.testing import Clock, Issuer, LocalTrust, guarded
from google.protobuf.wrappers_pb2 import BytesValue

from tests.clients.aio_guarded import AioGuarded
from tests.clients.guarded import Guarded, outcome, path
from tests.clients.protos import service_file
from tests.clients.testing.shop_rules import GRACE, LEEWAY, RULES, answer, answer_later, handlers_of

pytest_plugins = ["authclient.testing.fixtures"]


class Shops:
    """The same service under one kind of server. `call` returns the reason of the refusal, or None."""

    def __init__(self, call: Callable[[str, str | None], str | None]) -> None:
        self._call = call

    def reason(self, method: str, token: str | None = None) -> str | None:
        """Return why a call is refused."""
        return self._call(method, token)


def _reason(channel: grpc.Channel, method: str, token: str | None) -> str | None:
    metadata = Issuer.metadata(token) if token else ()
    done = outcome(channel, "unary_unary", path(method), metadata=metadata)
    return None if done.code is grpc.StatusCode.OK else done.reason


def _grpc_testing_reason(servicer: Any, service: Any, method: str, token: str | None) -> str | None:
    server = grpc_testing.server_from_dictionary({service: servicer}, grpc_testing.strict_real_time())
    metadata = Issuer.metadata(token) if token else ()
    call = server.invoke_unary_unary(service.methods_by_name[method], metadata, BytesValue(), None)
    _, trailing, code, _ = call.termination()
    return None if code is grpc.StatusCode.OK else reason_of(trailing)


@pytest.fixture(params=["sync", "aio", "grpc_testing"])
def shops(request: pytest.FixtureRequest, auth_trust: LocalTrust) -> Iterator[Shops]:
    """Yield the service, guarded as each kind of server is."""
    if request.param == "sync":
        with Guarded(auth_trust, handlers_of(answer), RULES) as server:
            yield Shops(lambda method, token: _reason(server.channel, method, token))
    elif request.param == "aio":
        with AioGuarded(auth_trust, handlers_of(answer_later), RULES) as served:
            yield Shops(lambda method, token: _reason(served.channel, method, token))
    else:
        service = service_file(**RULES).services_by_name["Shop"]
        real = type("Servicer", (), {name: staticmethod(lambda *_: BytesValue()) for name in RULES})()
        servicer = guarded(real, service, auth_trust)
        yield Shops(lambda method, token: _grpc_testing_reason(servicer, service, method, token))


def test_each_rule_is_kept_in_every_kind_of_server(shops: Shops, auth_issuer: Issuer) -> None:
    plain = auth_issuer.token()
    assert shops.reason("look") is None
    assert shops.reason("buy", plain) is None
    assert shops.reason("buy") == "TOKEN_MISSING"
    assert shops.reason("buy", "nonsense") == "TOKEN_INVALID"
    assert shops.reason("forgotten", plain) == "METHOD_WITHOUT_RULE"
    assert shops.reason("cancel", plain) == "ROLE_MISSING"
    assert shops.reason("cancel", auth_issuer.token(roles=["Support", "supporter"])) == "ROLE_MISSING"
    assert shops.reason("cancel", auth_issuer.token(roles=["reader", "shop-admin"])) is None
    assert shops.reason("refund", plain) == "MFA_REQUIRED"
    assert shops.reason("refund", auth_issuer.token(mfa=True)) is None
    assert shops.reason("try_out", plain) is None
    assert shops.reason("try_out") is None


def test_a_login_is_too_old_from_the_second_that_the_rule_says(
    shops: Shops, auth_issuer: Issuer, auth_clock: Clock
) -> None:
    token = auth_issuer.token()
    auth_clock.advance(299 + LEEWAY)
    assert shops.reason("close", token) is None
    auth_clock.advance(2)
    assert shops.reason("close", token) == "AUTHENTICATION_TOO_OLD"
    assert shops.reason("buy", token) is None
    assert shops.reason("close", auth_issuer.token(authenticated_ago=299)) is None
    assert shops.reason("close", auth_issuer.token(authenticated_ago=300 + LEEWAY + 1)) == "AUTHENTICATION_TOO_OLD"


def test_a_token_expires_when_the_clock_says_so(shops: Shops, auth_issuer: Issuer, auth_clock: Clock) -> None:
    token, short = auth_issuer.token(), auth_issuer.token(expires_in=60)
    auth_clock.advance(59 + LEEWAY)
    assert shops.reason("buy", short) is None
    auth_clock.advance(2)
    assert shops.reason("buy", short) == "TOKEN_EXPIRED"
    assert shops.reason("buy", token) is None
    auth_clock.advance(900)
    assert shops.reason("buy", token) == "TOKEN_EXPIRED"
    assert shops.reason("buy", auth_issuer.token()) is None


def test_a_token_can_be_made_expired_or_wrong_from_the_start(shops: Shops, auth_issuer: Issuer) -> None:
    assert shops.reason("buy", auth_issuer.token(expires_in=-LEEWAY - 1)) == "TOKEN_EXPIRED"
    now = int(auth_issuer.clock())
    later = {"nbf": now + 120, "iat": now + 120, "exp": now + 500}
    assert shops.reason("buy", auth_issuer.token(claims=later)) == "TOKEN_NOT_YET_VALID"
    earlier = {"nbf": now - 500, "iat": now - 500, "exp": now - 60}
    assert shops.reason("buy", auth_issuer.token(claims=earlier)) == "TOKEN_EXPIRED"
    assert shops.reason("buy", auth_issuer.token(claims={"auth_time": now + 1})) == "TOKEN_INVALID"
    assert shops.reason("buy", auth_issuer.token(claims={"aud": "billing"})) == "TOKEN_INVALID"
    assert shops.reason("buy", auth_issuer.token(claims={"roles": "support"})) == "TOKEN_INVALID"


def test_a_revocation_counts_at_once_and_for_one_session_only(shops: Shops, auth_issuer: Issuer) -> None:
    token, other = auth_issuer.token(), auth_issuer.token()
    session = "0191d5a5-0000-7000-8000-00000000000a"
    same = [auth_issuer.token(session_id=session) for _ in range(2)]
    assert shops.reason("buy", token) is None
    auth_issuer.revoke(token)
    auth_issuer.revoke(same[0])
    assert shops.reason("buy", token) == "SESSION_ENDED"
    assert [shops.reason("buy", each) for each in same] == ["SESSION_ENDED"] * 2
    assert shops.reason("wire", token) == "SESSION_ENDED"
    assert shops.reason("buy", other) is None


def test_outdated_roles_are_refused_until_a_fresh_token_comes(shops: Shops, auth_issuer: Issuer) -> None:
    token, of_grace = auth_issuer.token(roles=["support"]), auth_issuer.token(user_id=GRACE, user_name="grace")
    auth_issuer.outdate()
    assert shops.reason("cancel", token) == "TOKEN_OUTDATED"
    assert shops.reason("buy", of_grace) is None
    assert shops.reason("cancel", auth_issuer.token(roles=["support"])) is None
    auth_issuer.outdate(GRACE)
    assert shops.reason("buy", of_grace) == "TOKEN_OUTDATED"


def test_keys_are_rotated_and_removed(shops: Shops, auth_issuer: Issuer) -> None:
    token = auth_issuer.token()
    auth_issuer.rotate_key()
    fresh = auth_issuer.token()
    assert [shops.reason("buy", each) for each in (token, fresh)] == [None, None]
    auth_issuer.remove_keys()
    assert [shops.reason("buy", each) for each in (token, fresh)] == ["TOKEN_INVALID", None]


def test_a_stale_view_asks_and_hears_of_everything(
    shops: Shops, auth_issuer: Issuer, auth_trust: LocalTrust, auth_clock: Clock
) -> None:
    good, ended = auth_issuer.token(), auth_issuer.token()
    auth_trust.stale()
    auth_issuer.revoke(ended)
    assert shops.reason("buy", ended) is None, "young enough to be believed, and it does not know"
    assert shops.reason("wire", ended) == "SESSION_ENDED", "Verify is asked, and knows"
    auth_clock.advance(10)
    assert shops.reason("buy", ended) is None
    auth_clock.advance(0.1)
    assert shops.reason("buy", ended) == "SESSION_ENDED"
    assert shops.reason("buy", good) is None


def test_an_authentication_service_that_is_away_is_unavailable_once_the_view_is_old(
    shops: Shops, auth_issuer: Issuer, auth_trust: LocalTrust, auth_clock: Clock
) -> None:
    token, ended = auth_issuer.token(), auth_issuer.token()
    auth_trust.away()
    assert shops.reason("buy", token) is None
    assert shops.reason("wire", token) == "VERIFICATION_UNAVAILABLE"
    auth_clock.advance(10.1)
    assert shops.reason("buy", token) == "VERIFICATION_UNAVAILABLE"
    assert shops.reason("look") is None
    auth_issuer.revoke(ended)
    auth_trust.back()
    assert shops.reason("buy", token) is None
    assert shops.reason("wire", token) is None
    assert shops.reason("buy", ended) == "SESSION_ENDED"
    auth_trust.away()
    auth_trust.stale()
    assert shops.reason("wire", token) is None, "stale is a cut stream; Verify answers"


def test_the_tokens_of_another_issuer_are_refused(shops: Shops, auth_clock: Clock) -> None:
    for other in (Issuer(auth_clock), Issuer(auth_clock, issuer="staging"), Issuer(auth_clock, audience="billing")):
        assert shops.reason("buy", other.token()) == "TOKEN_INVALID"
