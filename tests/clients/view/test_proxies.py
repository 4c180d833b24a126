"""What is not encrypted goes to nobody but the service, whatever the environment says about proxies."""

import asyncio

import grpc
import pytest
from authapi.v1 import auth_service_pb2 as api
from authapi.v1 import auth_service_pb2_grpc as rpc
from authclient import Session
from authclient import aio as asynchronous
from authclient._wire.channels import open_aio_channel, open_channel
from authclient.command import main as lint
from authclient.lint import UNREADABLE

from tests.clients.auth_server import AuthServer
from tests.clients.eventually import SOON
from tests.clients.proxy import CountingProxy, proxy
from tests.clients.trusts import NewTrust

__all__ = ["proxy"]
UNIMPLEMENTED = grpc.StatusCode.UNIMPLEMENTED
"""What the service here answers to a login: it was reached."""


def test_grpc_takes_the_proxy_where_it_is_not_told_otherwise(auth: AuthServer, proxy: CountingProxy) -> None:
    with grpc.insecure_channel(auth.address) as channel, pytest.raises(grpc.RpcError):
        rpc.AuthServiceStub(channel).Login(api.LoginRequest(), timeout=SOON)
    assert proxy.connections > 0


@pytest.mark.parametrize("insecure", [False, True])
def test_a_guard_does_not(insecure: bool, auth: AuthServer, new_trust: NewTrust, proxy: CountingProxy) -> None:
    assert new_trust(auth, insecure=insecure).wait_until_ready(SOON)
    assert proxy.connections == 0


def test_a_session_does_not(auth: AuthServer, proxy: CountingProxy) -> None:
    with Session(auth.address) as session, pytest.raises(grpc.RpcError) as error:
        session.login("ada", "any")
    assert error.value.code() is UNIMPLEMENTED
    assert proxy.connections == 0


def test_an_asyncio_session_does_not(auth: AuthServer, proxy: CountingProxy) -> None:
    async def login() -> None:
        async with asynchronous.Session(auth.address) as session:
            await session.login("ada", "any")

    with pytest.raises(grpc.aio.AioRpcError) as error:
        asyncio.run(login())
    assert error.value.code() is UNIMPLEMENTED
    assert proxy.connections == 0


@pytest.mark.parametrize("insecure", [False, True])
def test_the_channels_of_a_session_do_not(insecure: bool, auth: AuthServer, proxy: CountingProxy) -> None:
    async def ask() -> None:
        async with open_aio_channel(auth.address, None, insecure) as channel:
            await rpc.AuthServiceStub(channel).Verify(api.VerifyRequest(access_token="second"), timeout=SOON)

    with open_channel(auth.address, None, insecure) as channel, pytest.raises(grpc.RpcError):
        rpc.AuthServiceStub(channel).Verify(api.VerifyRequest(access_token="first"), timeout=SOON)
    with pytest.raises(grpc.RpcError):
        asyncio.run(ask())
    assert auth.shown == ["first", "second"]
    assert proxy.connections == 0


def test_the_lint_of_a_running_server_does_not(auth: AuthServer, proxy: CountingProxy) -> None:
    assert lint(["lint", "--server", auth.address]) == UNREADABLE
    assert proxy.connections == 0
