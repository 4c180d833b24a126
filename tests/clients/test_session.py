"""A caller's session: log in once, and every call carries a token that is good. Threads, real servers, no waiting."""

import contextlib
import functools
import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from authapi.v1 import auth_service_pb2 as api
from authapi.v1 import auth_service_pb2_grpc as rpc
from authclient import LoginNeeded, Session, Trust, current_identity, forwarded, reason_of, renewals
from authclient.held_tokens import HeldTokens, has_authorization
from google.protobuf.timestamp_pb2 import Timestamp

from authservice import bootstrap
from authservice.domain.deadline import Deadline
from tests.clients.aio_servers import TokenServer, away, over
from tests.clients.guarded import KINDS, Guarded, every_kind, handler, path
from tests.clients.scripted import SECONDS, SOON, Hands, eventually, refuse
from tests.observed import PASSWORD, register
from tests.rpc.test_transport import Authority

UNAUTHENTICATED, UNAVAILABLE = grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.UNAVAILABLE


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at open streams more often."""
    monkeypatch.setattr(renewals, "RENEWAL_SECONDS", 0.01)


@pytest.fixture
def server() -> Iterator[TokenServer]:
    with TokenServer() as made:
        yield made


@pytest.fixture
def hands() -> Hands:
    return Hands(1000.0)


@pytest.fixture
def caller(server: TokenServer, hands: Hands) -> Iterator[Session]:
    """Yield a session that is logged in."""
    with Session(server.address, monotonic=hands) as made:
        made.login("ada", PASSWORD)
        yield made


@pytest.fixture
def shop(server: TokenServer, caller: Session) -> Iterator[grpc.Channel]:
    """Yield a channel to a service, with the session on it."""
    with caller.channel(server.address) as made:
        yield made


def call(channel: grpc.Channel, kind: str = "unary_unary", request: bytes = b"x", **options: Any) -> list[bytes]:
    """Make a call of any kind and return the answers."""
    argument: Any = iter([request]) if kind.startswith("stream_") else request
    answer = getattr(channel, kind)(path(kind))(argument, timeout=SOON, **options)
    return list(answer) if kind.endswith("_stream") else [answer]


def refused(work: Callable[[], Any]) -> Any:
    """Return the error of a call that must be refused."""
    with pytest.raises(grpc.RpcError) as caught:
        work()
    return caught.value


# --- the token on calls ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_calls_of_all_four_kinds_carry_the_token(shop: grpc.Channel, server: TokenServer, kind: str) -> None:
    assert call(shop, kind)[0] == b"access-1"
    assert server.seen == ["access-1"]


def test_before_a_login_nothing_is_sent(server: TokenServer) -> None:
    with Session(server.address) as stranger, stranger.channel(server.address) as channel:
        for kind in KINDS:
            with pytest.raises(LoginNeeded) as caught:
                call(channel, kind)
            assert caught.value.reason is None
        with pytest.raises(LoginNeeded):
            stranger.replace("access-1")
        assert stranger.logout() == 0
    assert server.seen == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("key", ["authorization", "Authorization"])
def test_a_callers_own_authorization_wins(shop: grpc.Channel, server: TokenServer, kind: str, key: str) -> None:
    server.refuses = {"own"}
    error = refused(lambda: call(shop, kind, metadata=((key.lower(), "Bearer own"),)))
    assert error.code() is UNAUTHENTICATED
    assert (server.seen, server.refreshes) == (["own"], []), "it is not replaced and not repeated"
    assert has_authorization(((key, "x"),))
    assert not has_authorization((("x-authorization", "x"), ("proxy-authorization", "x")))


@pytest.mark.parametrize("kind", KINDS)
def test_other_metadata_deadline_and_messages_are_the_callers(server: TokenServer, caller: Session, kind: str) -> None:
    with caller.channel(server.address) as channel:
        assert call(channel, kind, metadata=(("x-request-id", "7"), ("data-bin", b"\x00")))[0] == b"access-1"
        multi: Any = channel.unary_stream(path("unary_stream"))
        assert refused(lambda: list(multi(b"wait", timeout=0.05))).code() is grpc.StatusCode.DEADLINE_EXCEEDED


# --- refreshing ------------------------------------------------------------------------------------------------------


def test_fifty_threads_that_need_a_refresh_cause_one_and_all_get_the_successor(
    server: TokenServer, caller: Session, hands: Hands
) -> None:
    hands.now += 899
    together = threading.Barrier(50)

    def ask(_: int) -> str:
        together.wait(SOON)
        return caller.access_token()

    with ThreadPoolExecutor(50) as pool:
        assert set(pool.map(ask, range(50))) == {"access-2"}
    assert server.refreshes == ["refresh-1"]


def test_fifty_calls_that_are_refused_at_once_cause_one_refresh(server: TokenServer, shop: grpc.Channel) -> None:
    server.refuses = {"access-1"}
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: call(shop), range(50)))
    assert answers == [[b"access-2"]] * 50
    assert server.refreshes == ["refresh-1"]


def test_threads_that_wait_share_a_failure_too(server: TokenServer, caller: Session, hands: Hands) -> None:
    server.on_refresh = over
    hands.now += 899
    with ThreadPoolExecutor(20) as pool:
        found = [pool.submit(caller.access_token) for _ in range(20)]
    assert {getattr(each.exception(), "reason", None) for each in found} == {"SESSION_ENDED"}
    assert server.refreshes == ["refresh-1"]


def test_a_token_is_replaced_ahead_of_time_while_calls_go_on_with_it(
    server: TokenServer, caller: Session, hands: Hands
) -> None:
    answer = threading.Event()
    server.on_refresh = lambda *_: answer.wait(SOON)
    hands.now += 900 * 0.6 - 1
    assert caller.access_token() == "access-1"
    assert server.refreshes == []
    hands.now = 1000 + 900 * 0.85 + 1
    assert [caller.access_token() for _ in range(10)] == ["access-1"] * 10, "nobody waits"
    eventually(lambda: server.refreshes == ["refresh-1"], "it is refreshed once")
    answer.set()
    eventually(lambda: caller.access_token() == "access-2", "the successor is used")
    assert server.refreshes == ["refresh-1"]


def test_callers_do_not_refresh_together_and_never_late() -> None:
    tokens = api.SessionTokens(access_token_expire_time=Timestamp(seconds=SECONDS + 900))
    held = [HeldTokens.received(tokens, Timestamp(seconds=SECONDS), 0.0) for _ in range(500)]
    moments = [each.refresh_at for each in held]
    assert 540 <= min(moments) < 600
    assert 700 < max(moments) <= 765
    assert len(set(moments)) > 490
    assert {each.usable_until for each in held} == {895.0}


@pytest.mark.parametrize("life", [1, 10, 30, 60, 900, 3600])
def test_a_token_is_not_used_in_its_last_seconds(server: TokenServer, hands: Hands, life: int) -> None:
    server.life = life
    with Session(server.address, monotonic=hands) as caller:
        caller.login("ada", PASSWORD)
        held = caller._holding.require()
        assert held
        assert held.refresh_at <= held.usable_until < hands.now + life
        hands.now += life - min(5, life * 0.15)
        assert caller.access_token() == "access-2"


def test_while_the_token_is_good_a_failing_refresh_disturbs_nobody(
    server: TokenServer, caller: Session, shop: grpc.Channel, hands: Hands
) -> None:
    server.on_refresh = away
    hands.now += 800
    assert [call(shop) for _ in range(20)] == [[b"access-1"]] * 20
    eventually(lambda: caller._refresh is None, "the attempt is over")
    assert server.refreshes == ["refresh-1"] * 4
    assert call(shop) == [b"access-1"]
    assert len(server.refreshes) == 4, "the next attempt is a while off"
    server.on_refresh = lambda *_: None
    hands.now += 3
    assert call(shop) == [b"access-1"]
    eventually(lambda: caller.access_token() == "access-2", "the next attempt")


def test_when_the_token_is_not_good_a_failing_refresh_raises_and_the_next_call_tries_again(
    server: TokenServer, shop: grpc.Channel, hands: Hands
) -> None:
    server.on_refresh = away
    hands.now += 896
    for kind in KINDS:
        assert refused(functools.partial(call, shop, kind)).code() is UNAVAILABLE
    assert server.seen == []
    server.on_refresh = lambda *_: None
    assert call(shop) == [b"access-2"]


def test_an_answer_that_is_lost_is_asked_for_again_with_the_same_refresh_token(
    server: TokenServer, caller: Session, hands: Hands
) -> None:
    server.on_refresh = lambda *arguments: away(*arguments) if len(server.refreshes) < 3 else None
    hands.now += 899
    assert caller.access_token() == "access-2"
    assert server.refreshes == ["refresh-1"] * 3
    hands.now += 899
    assert caller.access_token() == "access-3"
    assert server.refreshes[-1] == "refresh-2"


def test_a_wrong_clock_of_this_machine_does_no_harm(server: TokenServer, caller: Session, hands: Hands) -> None:
    assert abs(time.time() - SECONDS) > 86400, "the service lives in January 2026"
    hands.now += 900 * 0.6 - 1
    assert caller.access_token() == "access-1"
    assert server.refreshes == []
    hands.now += 900
    assert caller.access_token() == "access-2"


# --- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["unary_unary", "unary_stream"])
def test_a_refused_token_is_replaced_and_the_call_repeated(server: TokenServer, shop: grpc.Channel, kind: str) -> None:
    server.refuses = {"access-1"}
    assert call(shop, kind)[0] == b"access-2"
    assert server.seen == ["access-1", "access-2"]


@pytest.mark.parametrize("kind", ["unary_unary", "unary_stream"])
def test_a_call_is_repeated_once_only(server: TokenServer, shop: grpc.Channel, kind: str) -> None:
    server.refuses = {f"access-{number}" for number in range(10)}
    error = refused(lambda: call(shop, kind))
    assert (error.code(), reason_of(error.trailing_metadata())) == (UNAUTHENTICATED, "TOKEN_OUTDATED")
    assert server.seen == ["access-1", "access-2"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("code", [grpc.StatusCode.PERMISSION_DENIED, UNAVAILABLE, grpc.StatusCode.INTERNAL])
def test_other_refusals_are_not_repeated(
    server: TokenServer, shop: grpc.Channel, kind: str, code: grpc.StatusCode
) -> None:
    server.refuses, server.refusal = {"access-1"}, code
    assert refused(lambda: call(shop, kind)).code() is code
    assert (server.seen, server.refreshes) == (["access-1"], [])


@pytest.mark.parametrize("kind", ["stream_unary", "stream_stream"])
def test_calls_whose_requests_are_spent_are_not_repeated(server: TokenServer, shop: grpc.Channel, kind: str) -> None:
    server.refuses = {"access-1"}
    assert refused(lambda: call(shop, kind)).code() is UNAUTHENTICATED
    assert server.seen == ["access-1"]


def test_a_stream_that_has_delivered_is_not_repeated(server: TokenServer, shop: grpc.Channel) -> None:
    multi: Any = shop.unary_stream(path("unary_stream"))
    answers = multi(b"break", timeout=SOON)
    assert next(answers) == b"access-1"
    assert refused(lambda: next(answers)).code() is UNAUTHENTICATED
    assert (server.seen, server.refreshes) == (["access-1"], [])


def test_where_there_is_no_other_token_the_refusal_stands_and_the_next_call_says_why(
    server: TokenServer, caller: Session, shop: grpc.Channel
) -> None:
    server.refuses, server.on_refresh = {"access-1"}, over
    assert refused(lambda: call(shop)).code() is UNAUTHENTICATED
    for _ in range(2):
        with pytest.raises(LoginNeeded) as caught:
            call(shop)
        assert caught.value.reason == "SESSION_ENDED"
    caller.login("ada", PASSWORD)
    assert call(shop)[0] == caller.access_token().encode()


def test_futures_carry_the_token_and_are_not_repeated(server: TokenServer, shop: grpc.Channel) -> None:
    multi: Any = shop.unary_unary(path("unary_unary"))
    calls = [multi.future(b"x", timeout=SOON) for _ in range(20)]
    assert {future.result() for future in calls} == {b"access-1"}
    server.refuses = {"access-1"}
    error = refused(multi.future(b"x", timeout=SOON).result)
    assert error.code() is UNAUTHENTICATED


def test_a_stream_may_be_cancelled_and_asked_for_its_end(server: TokenServer, shop: grpc.Channel) -> None:
    server.refuses = {"access-1"}
    multi: Any = shop.unary_stream(path("unary_stream"))
    answers = multi(b"wait", timeout=SOON)
    assert next(answers) == b"access-2"
    answers.cancel()
    assert refused(lambda: next(answers)).code() is grpc.StatusCode.CANCELLED
    assert answers.code() is grpc.StatusCode.CANCELLED


# --- logging out -----------------------------------------------------------------------------------------------------


def test_logout_ends_the_session(server: TokenServer, caller: Session, shop: grpc.Channel) -> None:
    assert caller.logout() == 1
    assert server.logouts == [("refresh-1", "access-1")]
    assert caller.logout() == 0
    with pytest.raises(LoginNeeded):
        call(shop)


@pytest.mark.parametrize("ending", [lambda *_: None, away, over], ids=["answered", "away", "over"])
def test_a_logout_while_a_refresh_is_under_way_is_for_good(
    server: TokenServer, caller: Session, hands: Hands, ending: Callable[..., None]
) -> None:
    asked, answer = threading.Event(), threading.Event()

    def hold(*arguments: Any) -> None:
        asked.set()
        answer.wait(SOON)
        ending(*arguments)

    server.on_refresh = hold
    hands.now += 899
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(caller.access_token)
        assert asked.wait(SOON)
        assert caller.logout() == 1
        answer.set()
        assert isinstance(waiting.exception(SOON), LoginNeeded | grpc.RpcError)
    with pytest.raises(LoginNeeded):
        caller.access_token()


@pytest.mark.parametrize("ending", [lambda *_: None, away, over], ids=["answered", "away", "over"])
def test_a_login_while_a_refresh_is_under_way_is_kept(
    server: TokenServer, caller: Session, hands: Hands, ending: Callable[..., None]
) -> None:
    asked, answer = threading.Event(), threading.Event()

    def hold(*arguments: Any) -> None:
        asked.set()
        answer.wait(SOON)
        ending(*arguments)

    server.on_refresh = hold
    hands.now += 800
    assert caller.access_token() == "access-1"
    assert asked.wait(SOON)
    caller.login("bob", PASSWORD)
    hers = caller.access_token()
    assert hers != "access-1"
    answer.set()
    eventually(lambda: caller._refresh is None, "the refresh is over")
    assert caller.access_token() == hers


# --- secrets ---------------------------------------------------------------------------------------------------------

ELSEWHERE = ["example.com:443", "10.0.0.1:1", "0.0.0.0:1", "[::2]:1", "localhost.example.com:1", "dns:///example.com:1"]
ELSEWHERE += ["127.0.0.1.example.com:1", "ipv4:10.0.0.1:1", "127.0.0.1:1,10.0.0.1:1", "localhost:1@example.com:1", ":1"]
HERE = [
    "example.com:443",
    "10.0.0.1:1",
    "0.0.0.0:1",
    "[::2]:1",
    "localhost.example.com:1",
    "127.0.0.1.example.com:1",
]
ELSEWHERE += [
    "dns:///example.com:1",
    "ipv4:10.0.0.1:1",
    "127.0.0.1:1,10.0.0.1:1",
    "localhost:1@example.com:1",
    ":1",
    "",
]
HERE = ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "localhost:1", "unix:/tmp/none.sock"]


@pytest.mark.parametrize("address", ELSEWHERE)
def test_no_token_leaves_this_machine_in_the_clear(caller: Session, address: str) -> None:
    with pytest.raises(ValueError, match="in the clear"):
        Session(address)
    with pytest.raises(ValueError, match="in the clear"):
        caller.channel(address)
    Session(address, insecure=True).close()
    caller.channel(address, insecure=True).close()


@pytest.mark.parametrize("address", HERE)
def test_plaintext_stays_possible_on_this_machine(caller: Session, address: str) -> None:
    Session(address).close()
    caller.channel(address).close()


def test_call_credentials_work_over_tls_and_only_there(tmp_path: Path, hands: Hands) -> None:
    authority = Authority(tmp_path, "our-ca")
    cert, key = (file.read_bytes() for file in authority.issue("server"))
    trusted = grpc.ssl_channel_credentials(authority.cert_file.read_bytes())
    name = (("grpc.ssl_target_name_override", "localhost"),)
    tls = grpc.ssl_server_credentials([(key, cert)])
    with TokenServer() as plain, TokenServer(tls) as server:  # noqa: SIM117
        with Session(plain.address, monotonic=hands) as caller:
            caller.login("ada", PASSWORD)
            both = grpc.composite_channel_credentials(trusted, caller.call_credentials())
            with grpc.secure_channel(server.address, both, name) as channel:
                assert call(channel) == [b"access-1"]
                hands.now += 899
                assert call(channel) == [b"access-2"]
                caller.logout()
                assert refused(lambda: call(channel)).code() is UNAVAILABLE
            with caller.channel(f"localhost:{server.port}", credentials=trusted) as channel:
                caller.login("ada", PASSWORD)
                assert call(channel) == [b"access-3"]


def test_tokens_are_in_no_log_and_no_text(
    server: TokenServer, caller: Session, shop: grpc.Channel, hands: Hands, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    texts = [repr(caller), repr(caller._holding.require()), str(caller._holding.require())]
    server.refuses = {"access-1", "access-2"}
    texts.append(str(refused(lambda: call(shop))))
    server.on_refresh = away
    hands.now += 899
    texts.append(str(refused(lambda: call(shop))))
    server.on_refresh = over
    with pytest.raises(LoginNeeded) as caught:
        call(shop)
    texts += [str(caught.value), repr(caught.value), caplog.text]
    assert not any(secret in text for text in texts for secret in ("access-", "refresh-", PASSWORD))


# --- streams ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS[1:])
def test_a_long_stream_is_renewed_with_each_fresh_token(
    server: TokenServer, shop: grpc.Channel, hands: Hands, kind: str
) -> None:
    release = threading.Event()

    def requests() -> Iterator[bytes]:
        yield b"wait"
        release.wait(SOON)

    stream = getattr(shop, kind)(path(kind))
    begin = stream.future if kind == "stream_unary" else stream
    running = begin(requests() if kind.startswith("stream_") else b"wait", timeout=SOON)
    eventually(lambda: server.seen, "it is open")
    name = server.names[0]
    assert 22 <= len(name) <= 64
    for number in (2, 3):
        hands.now += 899
        fresh = (name, f"access-{number}")
        eventually(functools.partial(server.renewals.__contains__, fresh), "it is renewed")
    release.set()
    running.cancel()
    eventually(lambda: not renewing_threads(), "the thread that renews is gone")
    assert server.renewals == [(name, "access-2"), (name, "access-3")]


def renewing_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "authclient-renewals"]


def test_a_renewal_is_repeated_where_that_helps_and_only_there(
    server: TokenServer, shop: grpc.Channel, hands: Hands
) -> None:
    answers = iter([UNAVAILABLE, UNAVAILABLE, grpc.StatusCode.UNIMPLEMENTED])
    tried: list[object] = []

    def answer(context: Any) -> None:
        tried.append(context)
        refuse(context, next(answers, grpc.StatusCode.INTERNAL))

    server.on_renewal = answer
    multi: Any = shop.unary_stream(path("unary_stream"))
    running = multi(b"wait", timeout=SOON)
    next(running)
    hands.now += 899
    eventually(lambda: len(tried) == 3, "it is tried three times")
    hands.now += 899
    eventually(lambda: len(tried) == 4, "the next token is tried")
    running.cancel()


def test_a_session_that_is_over_or_closed_breaks_no_thread(
    server: TokenServer, caller: Session, shop: grpc.Channel, hands: Hands
) -> None:
    multi: Any = shop.unary_stream(path("unary_stream"))
    running = multi(b"wait", timeout=SOON)
    next(running)
    caller.close()
    hands.now += 899
    with pytest.raises((ValueError, grpc.RpcError)):
        caller.access_token()
    running.cancel()
    eventually(lambda: not renewing_threads(), "the thread that renews is gone")


def test_close_leaves_no_thread_even_in_the_middle_of_a_refresh(
    server: TokenServer, caller: Session, hands: Hands
) -> None:
    asked, answer = threading.Event(), threading.Event()

    def hold(*_: Any) -> None:
        asked.set()
        answer.wait(SOON)

    server.on_refresh = hold
    hands.now += 800
    caller.access_token()
    assert asked.wait(SOON)
    caller.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("authclient")]
    answer.set()


def test_a_channel_that_was_handed_over_is_not_closed(server: TokenServer) -> None:
    with grpc.insecure_channel(server.address) as own:
        with Session(own) as caller:
            caller.login("ada", PASSWORD)
        caller.login("ada", PASSWORD)
        assert call(caller.attach(own)) == [b"access-2"]


# --- with the real services ------------------------------------------------------------------------------------------

real = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)


@pytest.fixture
def ada(stub: rpc.AuthServiceStub, port: int) -> Iterator[Session]:
    """Yield a session with the real service."""
    register(stub, "ada")
    with Session(f"127.0.0.1:{port}") as caller:
        caller.login("ada", PASSWORD)
        yield caller


@pytest.fixture
def roles(service: bootstrap.Service, port: int) -> Iterator[Guarded]:
    """Yield a service that trusts the real one and answers the caller's name and roles."""

    def answer(_: Any, context: Any) -> list[bytes]:
        known = current_identity(context)
        return [f"{known.user_name}:{','.join(known.roles)}".encode()]

    issuer, audience = service.token_scope
    with Trust(f"127.0.0.1:{port}", issuer=issuer, audience=audience) as trust:
        assert trust.wait_until_ready(SOON)
        with Guarded(trust, every_kind(answer)) as served:
            yield served


@real
def test_new_roles_count_from_the_next_call_and_nobody_notices(
    service: bootstrap.Service, ada: Session, roles: Guarded
) -> None:
    with ada.channel(f"127.0.0.1:{roles.port}") as channel:
        assert call(channel) == [b"ada:"]
        service.operate_users.grant("ada", "admin", Deadline.after(5))
        eventually(lambda: call(channel) == [b"ada:admin"], "the role is there")
        assert call(channel, "unary_stream") == [b"ada:admin"]


@real
def test_a_session_that_was_ended_elsewhere_needs_a_login(ada: Session, roles: Guarded, port: int) -> None:
    with ada.channel(f"127.0.0.1:{roles.port}") as channel, Session(f"127.0.0.1:{port}") as other:
        assert call(channel) == [b"ada:"]
        other.login("ada", PASSWORD)
        assert other.logout(api.LOGOUT_SCOPE_ALL) == 2

        def reason() -> str | None:
            with contextlib.suppress(grpc.RpcError):
                try:
                    call(channel)
                except LoginNeeded as needed:
                    return needed.reason
            return None

        eventually(lambda: reason() == "SESSION_ENDED", "a login is needed")


@real
def test_fifty_threads_with_the_real_service_all_stay_signed_in(ada: Session, roles: Guarded) -> None:
    first = ada.access_token()
    with ThreadPoolExecutor(50) as pool:
        assert len(set(pool.map(lambda _: ada.replace(first), range(50)))) == 1
    with ada.channel(f"127.0.0.1:{roles.port}") as channel:
        assert call(channel) == [b"ada:"]
    assert ada.logout() == 1


class Lossy(grpc.UnaryUnaryClientInterceptor):
    """A way to the service on which the first answer of Refresh is lost."""

    def __init__(self, nowhere: grpc.Channel) -> None:
        self.lost = 0
        self._nowhere = nowhere

    def intercept_unary_unary(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        answer = continuation(details, request)
        if not str(details.method).endswith("/Refresh") or self.lost:
            return answer
        answer.result()
        self.lost += 1
        nowhere: Any = self._nowhere.unary_unary("/")
        return nowhere.future(b"")


@real
def test_a_lost_answer_signs_nobody_out(stub: rpc.AuthServiceStub, port: int) -> None:
    register(stub, "ada")
    with grpc.insecure_channel("127.0.0.1:1") as nowhere, grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        lossy = Lossy(nowhere)
        caller = Session(grpc.intercept_channel(channel, lossy))
        caller.login("ada", PASSWORD)
        second = caller.replace(caller.access_token())
        third = caller.replace(second)
        assert lossy.lost == 1
        assert len({second, third}) == 2
        assert caller.logout() == 1


@real
def test_a_service_passes_its_callers_token_on_where_it_says_so(
    service: bootstrap.Service, ada: Session, roles: Guarded, port: int
) -> None:
    with roles.new_channel() as onward:
        ask: Any = onward.unary_unary(path("unary_unary"))

        def forward(request: bytes, context: Any) -> bytes:
            metadata = forwarded(context) if request == b"forward" else ()
            try:
                return bytes(ask(request, metadata=metadata, timeout=SOON))
            except grpc.RpcError as error:
                return str(reason_of(error.trailing_metadata())).encode()

        issuer, audience = service.token_scope
        with Trust(f"127.0.0.1:{port}", issuer=issuer, audience=audience) as trust:
            assert trust.wait_until_ready(SOON)
            with Guarded(trust, {"unary_unary": handler("unary_unary", forward)}) as first:  # noqa: SIM117
                with ada.channel(f"127.0.0.1:{first.port}") as channel:
                    assert call(channel, request=b"forward") == [b"ada:"]
                    assert call(channel, request=b"keep") == [b"TOKEN_MISSING"]
