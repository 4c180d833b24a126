"""The floor: the same grpc server with handlers that do nothing. `python -m benchmarks.floor PORT THREADS`."""

import signal
import sys
import threading
from typing import cast

import grpc
from authapi.v1 import auth_service_pb2 as api
from authapi.v1 import auth_service_pb2_grpc as rpc
from google.protobuf.timestamp_pb2 import Timestamp

from authservice.bootstrap import now_utc
from authservice.serving import settle_collector
from authservice.transport.guard import own_guard
from authservice.transport.server import Limits, Server
from authservice.transport.servicers.trust import TrustServicer
from authservice.transport.streams.watchers import Watchers
from authservice.usecases.auth.verify import Verify
from authservice.usecases.trust.revocation_feed import RevocationFeed

ANSWER = api.VerifyResponse(server_time=Timestamp(seconds=1))
"""Not empty, so that a caller can tell it from an error."""


class Nothing(rpc.AuthServiceServicer):
    """Answers Verify at once, and nothing else."""

    def Verify(self, request: api.VerifyRequest, context: grpc.ServicerContext) -> api.VerifyResponse:
        return ANSWER

    Register = Login = Refresh = Logout = Verify  # type: ignore[assignment]  # never called


def main() -> None:
    """Serve until SIGTERM."""
    port, threads = int(sys.argv[1]), int(sys.argv[2])
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    watchers = Watchers(cast(RevocationFeed, None), lambda: [], 0)
    trust = TrustServicer(lambda: [], watchers, now_utc)
    guard = own_guard(cast(Verify, None), "nobody", "nobody")
    server = Server(Nothing(), trust, guard, Limits(threads, 512, 1), has_reflection=False, together=None)
    server.listen(f"127.0.0.1:{port}", None)
    settle_collector()
    server.start()
    server.set_healthy(True)
    stop.wait()
    server.stop(1)


if __name__ == "__main__":
    main()
