"""A session and guarded services with the real authentication service."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from authapi.v1 import auth_service_pb2 as api
from authapi.v1 import auth_service_pb2_grpc as rpc
from authclient import LoginNeeded, Session, Trust, aio, current_identity, forwarded, reason_of, violations_of

from authservice import bootstrap
from authservice.domain.deadline import Deadline
from tests.clients.calling.calls import call, refused
from tests.clients.eventually import SOON, eventually
from tests.clients.guarded import Guarded, every_kind, handler, path
from tests.examples.pages import ERRORS, block
from tests.observed import PASSWORD, register

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
        service.admin.operate_users.grant("ada", "admin", Deadline.after(5))
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


@real
def test_a_refused_login_says_which_field_is_wrong(stub: rpc.AuthServiceStub, port: int) -> None:
    async def log_in() -> None:
        async with aio.Session(f"127.0.0.1:{port}") as session:
            await session.login("ada", "")

    with Session(f"127.0.0.1:{port}") as session:
        errors = [refused(lambda: session.login("ada", "")), refused(lambda: asyncio.run(log_in()))]
    for error in errors:
        assert reason_of(error.trailing_metadata()) == "INVALID_INPUT"
        assert violations_of(error.trailing_metadata()) == {"password": "is required"}


@real
def test_the_listing_of_the_page_prints_what_stands_below_it(
    stub: rpc.AuthServiceStub, port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    listing = block(ERRORS, "python", "violations_of")
    assert "127.0.0.1:50051" in listing
    exec(listing.replace("127.0.0.1:50051", f"127.0.0.1:{port}"), {})
    assert capsys.readouterr().out == block(ERRORS, "", "INVALID_ARGUMENT INVALID_INPUT")
