"""Whether the entrance works with the grpcio that is installed: real calls to a server of its own, at the start."""

import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from authservice.transport.entrance.entrance import Entrance, Terms
from authservice.transport.entrance.grpcio import Call, problems
from authservice.transport.entrance.line import Together

SECONDS = 5.0
"""What one call may take. It takes about a millisecond."""
_SERVICE = "authservice.Trial"
_REQUEST, _ANSWER = b"request", b"answer"
_REFUSAL = rpc_status.to_status(Status(code=grpc.StatusCode.ABORTED.value[0], message="refused"))


def trial() -> list[str]:
    """Return what does not work, in words; nothing if all is well. Listens on this machine for a moment."""
    return problems() or _calls()


def _calls() -> list[str]:
    pool = ThreadPoolExecutor(1, "trial")
    terms = Terms(_REFUSAL, _REFUSAL, _REFUSAL, _REFUSAL, lambda _: _REFUSAL, most_working=8)
    entrance = Entrance(pool, {f"/{_SERVICE}/Together": Together(_together)}, terms)
    server = grpc.server(pool, interceptors=[entrance], options=(("grpc.so_reuseport", 0),))
    unary: Any = grpc.unary_unary_rpc_method_handler(_alone)
    many: Any = grpc.unary_stream_rpc_method_handler(_many)
    handlers = {"Alone": unary, "Together": unary, "Many": many}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, handlers),))
    # Of no network, because a machine may have IPv4 or IPv6 only, and of no file.
    address = f"unix-abstract:{_SERVICE}-{secrets.token_hex(8)}"
    try:
        server.add_insecure_port(address)
        server.start()
        options = (("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1))
        with grpc.insecure_channel(address, options) as channel:
            return [text for text, is_good in _EXPECTED.items() if not _try(is_good, channel)]
    finally:
        server.stop(None)
        entrance.close()
        pool.shutdown()


def _alone(request: bytes, context: grpc.ServicerContext) -> bytes:
    if request != _REQUEST:
        context.abort_with_status(_REFUSAL)
    return _ANSWER


def _together(calls: Sequence[Call]) -> list[bytes | grpc.Status]:
    return [_ANSWER if call.message == _REQUEST else _REFUSAL for call in calls]


def _many(request: bytes, context: grpc.ServicerContext) -> Any:
    yield request
    yield _ANSWER


def _try(is_good: Callable[[Any], bool], channel: Any) -> bool:
    try:
        return is_good(channel)
    except grpc.RpcError:
        return False


def _answers(method: str) -> Callable[[Any], bool]:
    return lambda channel: channel.unary_unary(f"/{_SERVICE}/{method}")(_REQUEST, timeout=SECONDS) == _ANSWER


def _refuses(method: str, requests: Sequence[bytes], code: grpc.StatusCode) -> Callable[[Any], bool]:
    def try_it(channel: Any) -> bool:
        call = channel.stream_unary(f"/{_SERVICE}/{method}").future(iter(requests), timeout=SECONDS)
        return bool(call.code() is code)

    return try_it


_EXPECTED: dict[str, Callable[[Any], bool]] = {
    "a call is not answered": _answers("Alone"),
    "calls are not answered together": _answers("Together"),
    "a call is not refused": _refuses("Alone", [b"other"], grpc.StatusCode.ABORTED),
    "a call is not refused together with others": _refuses("Together", [b"other"], grpc.StatusCode.ABORTED),
    "a call without a request is not refused": _refuses("Alone", [], grpc.StatusCode.UNIMPLEMENTED),
    "a stream is not answered": lambda channel: (
        list(channel.unary_stream(f"/{_SERVICE}/Many")(_REQUEST, timeout=SECONDS)) == [_REQUEST, _ANSWER]
    ),
}
