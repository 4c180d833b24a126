"""Short ways to call AccountService."""

from typing import Any

import grpc
from authapi.v1 import account_service_pb2 as api
from authapi.v1 import account_service_pb2_grpc as rpc

Metadata = tuple[tuple[str, str], ...]


def bearer(access_token: str) -> Metadata:
    """Return the metadata that show a token."""
    return (("authorization", f"Bearer {access_token}"),)


class Account:
    """One user's view of the service, with the access token that was given last."""

    def __init__(self, channel: grpc.Channel, access_token: str = "") -> None:
        self.stub = rpc.AccountServiceStub(channel)
        self.access_token = access_token

    def call(self, method: str, **fields: Any) -> Any:
        """Call a method with a request of these fields."""
        request = getattr(api, f"{method}Request")(**fields)
        metadata = bearer(self.access_token) if self.access_token else ()
        return getattr(self.stub, method)(request, metadata=metadata, timeout=60)
