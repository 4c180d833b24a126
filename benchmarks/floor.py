"""The floor: grpcio's ordinary synchronous server with a method that does nothing. `python -m benchmarks.floor PORT`.

Nothing here is the project's own: whatever becomes of its server, the floor stays where it is.
"""

import signal
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import grpc
from google.protobuf.empty_pb2 import Empty

SERVICE = "benchmarks.v1.Nothing"
METHOD = f"/{SERVICE}/Do"
THREADS = 16
NOTHING = grpc.unary_unary_rpc_method_handler(
    lambda _request, _context: Empty(), Empty.FromString, Empty.SerializeToString
)


def main() -> None:
    """Serve the empty method."""
    serve(int(sys.argv[1]), grpc.method_handlers_generic_handler(SERVICE, {"Do": NOTHING}))


def serve(
    port: int,
    handlers: grpc.GenericRpcHandler,
    interceptors: Sequence[grpc.ServerInterceptor] = (),
    pool: ThreadPoolExecutor | None = None,
) -> None:
    """Serve until SIGTERM."""
    pool = pool or ThreadPoolExecutor(THREADS)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    server = grpc.server(pool, handlers=[handlers], interceptors=list(interceptors))
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    print("ready", flush=True)
    stop.wait()
    server.stop(0)


if __name__ == "__main__":
    main()
