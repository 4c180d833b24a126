"""A service that does nothing, guarded in one way: `python -m benchmarks.guarded_server PORT KIND GUARD AUTH`.

KIND is `sync` or `aio`. GUARD is `bare` (none), `nothing` (an interceptor that does nothing), `authclient`, `patient`
(the same, and no thread of the server's waits for a request), `pyjwt` (a hand-written interceptor that has PyJWT check
each token) or `verify` (one that asks the Verify RPC about each).
"""

import asyncio
import signal
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import authclient
import authclient.aio
import grpc
import jwt
from authapi.v1 import auth_service_pb2 as auth_api
from authapi.v1 import auth_service_pb2_grpc as auth_rpc
from authapi.v1 import rule_pb2
from authapi.v1 import trust_service_pb2 as trust_api
from authapi.v1 import trust_service_pb2_grpc as trust_rpc
from cryptography.hazmat.primitives.serialization import load_der_public_key

from benchmarks import floor
from tests.clients.protos import MESSAGE, SERVICE, service_file

__all__ = ["MESSAGE", "METHOD"]

METHOD = f"/{SERVICE}/Buy"
ANSWER = MESSAGE(value=b"done")


class Nothing(grpc.ServerInterceptor):
    """Does nothing: what grpc takes for an interceptor is seen by itself."""

    def intercept_service(self, continuation: Callable[..., Any], details: Any) -> Any:
        return continuation(details)


class NothingAio(grpc.aio.ServerInterceptor):
    """The same for asyncio."""

    async def intercept_service(self, continuation: Callable[..., Any], details: Any) -> Any:
        return await continuation(details)


class ByHand(grpc.ServerInterceptor):
    """What somebody would write: look at the token before the handler runs, or refuse."""

    def __init__(self, accepts: Callable[[str], Any]) -> None:
        self._accepts = accepts

    def intercept_service(self, continuation: Callable[..., Any], details: Any) -> Any:
        handler = continuation(details)
        if handler is None or details.method != METHOD:
            return handler

        def call(request: Any, context: grpc.ServicerContext) -> Any:
            try:
                self._accepts(_token(context))
            except Exception:
                context.abort(grpc.StatusCode.UNAUTHENTICATED, "no")
            return handler.unary_unary(request, context)

        return grpc.unary_unary_rpc_method_handler(call, handler.request_deserializer, handler.response_serializer)


class ByHandAio(grpc.aio.ServerInterceptor):
    """The same for asyncio."""

    def __init__(self, accepts: Callable[[str], Any]) -> None:
        self._accepts = accepts

    async def intercept_service(self, continuation: Callable[..., Any], details: Any) -> Any:
        handler = await continuation(details)
        if handler is None or details.method != METHOD:
            return handler

        async def call(request: Any, context: Any) -> Any:
            try:
                accepted = self._accepts(_token(context))
                if asyncio.iscoroutine(accepted) or hasattr(accepted, "__await__"):
                    await accepted
            except Exception:
                await context.abort(grpc.StatusCode.UNAUTHENTICATED, "no")
            return await handler.unary_unary(request, context)

        return grpc.unary_unary_rpc_method_handler(call, handler.request_deserializer, handler.response_serializer)


def _token(context: Any) -> str:
    return str(dict(context.invocation_metadata())["authorization"]).removeprefix("Bearer ")


def pyjwt_check(address: str) -> Callable[[str], Any]:
    """Return what checks a token with PyJWT alone."""
    with grpc.insecure_channel(address) as channel:
        answer = trust_rpc.TrustServiceStub(channel).GetSigningKeys(trust_api.GetSigningKeysRequest(), timeout=10)
    keys: dict[str, Any] = {key.kid: load_der_public_key(key.public_key) for key in answer.key_set.keys}

    def check(token: str) -> Any:
        key = keys[jwt.get_unverified_header(token)["kid"]]
        return jwt.decode(token, key, ["ES256"], audience="internal", issuer="authservice")

    return check


def interceptors(kind: str, guard: str, address: str, pool: ThreadPoolExecutor | None = None) -> list[Any]:
    """Return the interceptors of a server that has a pool, if it is a synchronous one."""
    if guard == "bare":
        return []
    if guard == "nothing":
        return [Nothing() if kind == "sync" else NothingAio()]
    if guard in {"authclient", "patient"}:
        trust = authclient.Trust(address, audience="internal")
        assert trust.wait_until_ready(20)
        file = service_file(Buy=rule_pb2.Rule(authenticated=True))
        if kind == "aio":
            return [authclient.aio.AuthInterceptor(trust, file)]
        return [authclient.AuthInterceptor(trust, file, pool=pool if guard == "patient" else None)]
    if guard == "pyjwt":
        check = pyjwt_check(address)
    else:
        channel: Any = (grpc if kind == "sync" else grpc.aio).insecure_channel(address)
        stub: Any = auth_rpc.AuthServiceStub(channel)

        def check(token: str) -> Any:
            return stub.Verify(auth_api.VerifyRequest(access_token=token), timeout=10)

    return [ByHand(check) if kind == "sync" else ByHandAio(check)]


def handlers(behavior: Callable[..., Any]) -> grpc.GenericRpcHandler:
    """Return the one method."""
    handler = grpc.unary_unary_rpc_method_handler(behavior, MESSAGE.FromString, MESSAGE.SerializeToString)
    return grpc.method_handlers_generic_handler(SERVICE, {"Buy": handler})


async def serve_aio(port: int, guard: str, address: str) -> None:
    """Serve until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)

    async def buy(_request: Any, _context: Any) -> Any:
        return ANSWER

    server = grpc.aio.server(handlers=(handlers(buy),), interceptors=interceptors("aio", guard, address))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    print("ready", flush=True)
    await stop.wait()
    await server.stop(0)


def main() -> None:
    """Serve until SIGTERM."""
    port, kind, guard, address = int(sys.argv[1]), *sys.argv[2:5]
    if kind == "sync":
        pool = ThreadPoolExecutor(floor.THREADS)
        handler = handlers(lambda _request, _context: ANSWER)
        floor.serve(port, handler, interceptors("sync", guard, address, pool), pool)
    else:
        asyncio.run(serve_aio(port, guard, address))


if __name__ == "__main__":
    main()
