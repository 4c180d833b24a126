"""A guard on a server of the other kind refuses everything, and names the right one."""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from authclient import AuthInterceptor, Trust
from authclient import aio as asynchronous

from tests.clients.calling.calls import call
from tests.clients.guarded import SIGNED_IN, handler
from tests.clients.protos import SERVICE, service_file

FILE = service_file(unary_unary=SIGNED_IN)


def test_an_asyncio_server_refuses_the_guard_for_threads_and_names_the_right_one(trust: Trust) -> None:
    async def make() -> None:
        grpc.aio.server(interceptors=[AuthInterceptor(trust, FILE)])  # type: ignore[list-item]

    with pytest.raises(ValueError, match=r"is for grpc\.server; grpc\.aio\.server takes authclient\.aio\.AuthInterc"):
        asyncio.run(make())


def test_interceptors_of_others_are_taken_and_refused_as_ever(trust: Trust) -> None:
    class Another(grpc.aio.ServerInterceptor):
        async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
            return await continuation(handler_call_details)

    assert isinstance(Another(), grpc.aio.ServerInterceptor)
    assert isinstance(asynchronous.AuthInterceptor(trust, FILE), grpc.aio.ServerInterceptor)
    assert not isinstance(SimpleNamespace(), grpc.aio.ServerInterceptor)


def test_a_server_with_threads_answers_no_call_through_an_asyncio_guard_and_names_the_right_one(
    trust: Trust, caplog: pytest.LogCaptureFixture
) -> None:
    guard: Any = asynchronous.AuthInterceptor(trust, FILE)
    called: list[bytes] = []
    with ThreadPoolExecutor(1) as pool:
        server = grpc.server(pool, interceptors=[guard])
        echo = {"unary_unary": handler("unary_unary", lambda request, _: called.append(request))}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, echo),))
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        with (
            caplog.at_level(logging.ERROR, "grpc"),
            grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
            pytest.raises(grpc.RpcError) as refused,
        ):
            call(channel)
        server.stop(0).wait()
    assert refused.value.code() is grpc.StatusCode.UNKNOWN
    assert "authclient.aio.AuthInterceptor is for grpc.aio.server; grpc.server takes" in caplog.text
    assert called == []
