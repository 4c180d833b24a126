"""A session of asyncio on channels that others have made: theirs to the service, and theirs to the authentication."""

import asyncio
import functools
from pathlib import Path
from typing import Any

import grpc
import pytest
from authclient.aio import Session

from tests.clients.calling.aio_callers import Caller, claim, eventually, refused
from tests.clients.eventually import SOON
from tests.clients.guarded import UNAVAILABLE, path
from tests.clients.stand_ins import Hands
from tests.clients.token_server import TokenServer
from tests.observed import PASSWORD
from tests.rpc.authority import Authority


@claim
async def test_an_attached_channel_is_made_by_its_owner(server: TokenServer, caller: Caller) -> None:
    seen: list[Any] = []

    class Noting(grpc.aio.UnaryUnaryClientInterceptor):
        async def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
            seen.append(dict(tuple(details.metadata or ())).get("authorization"))
            return await continuation(details, request)

    def make(interceptors: list[Any]) -> grpc.aio.Channel:
        return grpc.aio.insecure_channel(server.address, interceptors=[*interceptors, Noting()])

    async with caller.session.attach(make) as channel:
        server.refuses = {"access-1"}
        multi: Any = channel.unary_unary(path("unary_unary"))
        assert await multi(b"x", timeout=SOON) == b"access-2"
        assert seen == ["Bearer access-1", "Bearer access-2"]


@claim
async def test_streams_of_an_attached_channel_are_renewed_there(server: TokenServer, caller: Caller) -> None:
    def make(interceptors: list[Any]) -> grpc.aio.Channel:
        return grpc.aio.insecure_channel(server.address, interceptors=interceptors)

    async with caller.session.attach(make) as channel:
        stream: Any = channel.unary_stream(path("unary_stream"))
        call = stream(b"wait", timeout=SOON)
        await call.read()
        caller.hands.now += 899
        fresh = (server.names[0], "access-2")
        await eventually(functools.partial(server.renewals.__contains__, fresh), "it is renewed")
        call.cancel()


def test_call_credentials_work_over_tls_and_keep_nobody_waiting(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "our-ca")
    cert, key = (file.read_bytes() for file in authority.issue("server"))
    trusted = grpc.ssl_channel_credentials(authority.cert_file.read_bytes())
    name = (("grpc.ssl_target_name_override", "localhost"),)
    hands = Hands(1000.0)

    async def work(plain: TokenServer, server: TokenServer) -> None:
        async with Session(plain.address, monotonic=hands) as session:
            await session.login("ada", PASSWORD)
            both = grpc.composite_channel_credentials(trusted, session.call_credentials())
            async with grpc.aio.secure_channel(server.address, both, name) as channel:
                multi: Any = channel.unary_unary(path("unary_unary"))
                assert await multi(b"x", timeout=SOON) == b"access-1"
                hands.now += 899
                assert await asyncio.gather(*(multi(b"x", timeout=SOON) for _ in range(8))) == [b"access-2"] * 8
                assert len(plain.refreshes) == 1
                await session.logout()
                assert (await refused(multi(b"x", timeout=SOON))).code() is UNAVAILABLE

    with TokenServer() as plain, TokenServer(grpc.ssl_server_credentials([(key, cert)])) as server:
        asyncio.run(work(plain, server))


@claim
async def test_call_credentials_belong_to_an_event_loop(server: TokenServer, caller: Caller) -> None:
    with pytest.raises(RuntimeError, match="no running event loop"):
        await asyncio.to_thread(caller.session.call_credentials)


@claim
async def test_a_channel_of_somebody_elses_outlives_the_session(server: TokenServer, caller: Caller) -> None:
    async with grpc.aio.insecure_channel(server.address) as channel:
        for _ in range(2):
            async with Session(channel) as session:
                await session.login("ada", PASSWORD)
                assert (await session.access_token()).startswith("access-")
