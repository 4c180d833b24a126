"""authapi.v1.TrustService: what services need in order to check tokens by themselves."""

from collections.abc import Callable
from dataclasses import dataclass

import grpc
from authapi.v1 import trust_service_pb2 as api
from authapi.v1 import trust_service_pb2_grpc as rpc

from authservice.domain.signing_key import SigningKey
from authservice.ports import Clock
from authservice.transport.messages.times import timestamp
from authservice.transport.messages.trust import key_set
from authservice.transport.streams.watchers import Watchers
from authservice.transport.streams.writers import Send

SERVICE = "authapi.v1.TrustService"


@dataclass(frozen=True, slots=True)
class TrustServicer(rpc.TrustServiceServicer):
    """Serves the two RPCs. Lives as long as the server."""

    published: Callable[[], list[SigningKey] | None]
    watchers: Watchers
    clock: Clock

    def GetSigningKeys(
        self, request: api.GetSigningKeysRequest, context: grpc.ServicerContext
    ) -> api.GetSigningKeysResponse:
        """Return the key set."""
        return api.GetSigningKeysResponse(key_set=key_set(self.published()), server_time=timestamp(self.clock()))

    def WatchRevocations(  # type: ignore[override]  # grpc passes a third argument to what does not block
        self, request: api.WatchRevocationsRequest, context: grpc.ServicerContext, send: Send
    ) -> None:
        """Take a watcher. Returns at once; the stream goes on."""
        self.watchers.open(request, context, send)

    WatchRevocations.experimental_non_blocking = True  # type: ignore[attr-defined]  # so that it holds no thread
