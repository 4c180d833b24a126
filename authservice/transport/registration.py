"""A service of the contract with what serves it: the one list from which everything that names services derives."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.descriptor import FileDescriptor, MethodDescriptor, ServiceDescriptor

from authservice.transport.streams.open_streams import OpenStreams


@dataclass(frozen=True, slots=True)
class Registration:
    """One service. Lives as long as the server.

    Args:
        add: the generated function that adds a servicer to a server.
        streams: the open streams of the servicer, if it has a method that watches.
    """

    descriptor: ServiceDescriptor
    servicer: Any
    add: Callable[[Any, grpc.Server], None]
    streams: OpenStreams[Any] | None = None

    @property
    def name(self) -> str:
        """Full name of the service."""
        return self.descriptor.full_name

    def methods(self) -> Iterator[tuple[str, MethodDescriptor]]:
        """Yield full name, as gRPC has it, and descriptor of each method."""
        for method in self.descriptor.methods:
            yield f"/{self.name}/{method.name}", method


def files_of(registrations: Iterable[Registration]) -> list[FileDescriptor]:
    """Return the files of the contract that describe these services, where their rules are."""
    files = {each.descriptor.file.name: each.descriptor.file for each in registrations}
    return list(files.values())
