"""A service whose .proto file was not given to the guard: the log says which one is missing, once of each method."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any

import grpc
import pytest
from authclient import Trust

from tests.clients.aio_guarded import AioGuarded
from tests.clients.guarded import DENIED, Guarded, handler, outcome
from tests.clients.noted import Noted

NewServer = Callable[[Trust, Noted, Any], AbstractContextManager[Any]]


def sync_server(trust: Trust, noted: Noted, others: Any) -> Guarded:
    """Return a guarded `grpc.server` that has other services too."""
    return Guarded(trust, noted.by_kind, extra=[others])


def aio_server(trust: Trust, noted: Noted, others: Any) -> AioGuarded:
    """Return a guarded `grpc.aio.server` that has other services too."""
    return AioGuarded(trust, noted.by_shape, extra=[others])


@pytest.fixture(params=[sync_server, aio_server])
def new_server(request: pytest.FixtureRequest) -> NewServer:
    new: NewServer = request.param
    return new


class Everything(grpc.GenericRpcHandler):
    """Serves every path, as services do that are registered without their guard's knowledge."""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        return handler("unary_unary", lambda request, _context: request)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what was said of methods."""
    return [record.getMessage() for record in caplog.records if "refused to everybody" in record.getMessage()]


@pytest.mark.parametrize(
    ("method", "why"),
    [
        (
            "/authapi.v1.AuthService/Verify",
            "authapi/v1/auth_service.proto is not among the files of the guard; add auth_service_pb2.DESCRIPTOR there",
        ),
        (
            "/crew.v1.Crew/Hire",
            "the .proto file of the service crew.v1.Crew is not among those of the guard; add its DESCRIPTOR there",
        ),
        ("/shop.v1.Shop/Unheard", "there is no such method in the file that describes shop.v1.Shop"),
    ],
)
def test_the_file_that_is_missing_is_named_once(
    new_server: NewServer, trust: Trust, noted: Noted, caplog: pytest.LogCaptureFixture, method: str, why: str
) -> None:
    with (
        new_server(trust, noted, Everything()) as served,
        ThreadPoolExecutor(8) as pool,
        served.new_channel() as channel,
    ):
        found = list(pool.map(lambda _: outcome(channel, "unary_unary", method), range(16)))
    assert {(each.code, each.reason) for each in found} == {(DENIED, "METHOD_WITHOUT_RULE")}
    assert warnings(caplog) == [f"{method} is refused to everybody: {why}"]
    assert not any("DESCRIPTOR" in each.text for each in found), "the caller has no use for it"
