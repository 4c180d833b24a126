"""Calls with more metadata than anybody may send are refused, before anything is kept of them.

grpc refuses them itself once the client has acknowledged its SETTINGS. A client that never does may send 16 MiB with a
call, and HPACK (RFC 7541, 6.1) lets it say a long value again with one byte: 400 calls of 1 KB each, on one connection
and without a token, took 1,300 MB, as grpcio makes a text of every entry and keeps it for as long as the call lasts.
"""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias

import grpc

from authservice.transport.memory import give_back

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"

TIDY_SECONDS = 1.0
ENTRY_BYTES = 32
"""What an entry counts beside its name and its value (RFC 9113, 6.5.2)."""


class MetadataLimit(grpc.ServerInterceptor):
    """Refuses calls whose metadata is too large, and looks at nothing else. To be the first interceptor of a server.

    Args:
        most: bytes, counted as HTTP/2 does.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._refused = threading.Event()
        self._is_closing = threading.Event()
        self._pool = ThreadPoolExecutor(1, "too-large")
        text = f"The metadata of a call is limited to {most} bytes."

        def refuse(_requests: Any, context: grpc.ServicerContext) -> Any:
            self._refused.set()
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, text)

        # Of no thread that others need, and begun without waiting for a request. On the wire every shape is this one.
        refuse.experimental_thread_pool = self._pool  # type: ignore[attr-defined]  # grpc reads it from here
        self._refusal: Handler = grpc.stream_stream_rpc_method_handler(refuse)
        threading.Thread(target=self._tidy, name="too-large-tidy", daemon=True).start()

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], "Handler | None"],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "Handler | None":
        """Return the handler, or one that refuses. Runs on grpc's one serving thread, so it only counts."""
        if _size(handler_call_details.invocation_metadata) > self._most:
            return self._refusal
        return continuation(handler_call_details)

    def close(self) -> None:
        """End the threads."""
        self._is_closing.set()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _tidy(self) -> None:
        """Give back what the C library keeps of such calls."""
        while not self._is_closing.wait(TIDY_SECONDS):
            if self._refused.is_set():
                self._refused.clear()
                give_back()


def _size(metadata: Iterable[tuple[str, str | bytes]]) -> int:
    return sum([len(name) + len(value) + ENTRY_BYTES for name, value in metadata])
