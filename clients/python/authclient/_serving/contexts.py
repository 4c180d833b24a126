"""Contexts of calls, of both kinds of server, as handlers see them."""

from collections.abc import Sequence
from typing import Any

import grpc

from authclient._wire.metadata import is_forged, without_forged


class WithMetadata:
    """A context that tells other metadata than its own. Everything else is the context's."""

    __slots__ = ("_context", "_metadata")

    def __init__(self, context: Any, metadata: Sequence[tuple[str, str | bytes]]) -> None:
        self._context = context
        self._metadata = metadata

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    def invocation_metadata(self) -> Sequence[tuple[str, str | bytes]]:
        """Return the metadata."""
        return self._metadata


grpc.ServicerContext.register(WithMetadata)
grpc.aio.ServicerContext.register(WithMetadata)


def filtered(context: Any, metadata: Sequence[tuple[str, str | bytes]]) -> Any:
    """Return a context through which a handler sees none of its metadata that the caller could have forged."""
    return WithMetadata(context, without_forged(metadata)) if is_forged(metadata) else context
