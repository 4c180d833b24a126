"""Reading the rules of services that are not in this process, and saying what is wrong with them.

authclient lint --descriptor-set orders.binpb --role support --role shop-admin
authclient lint --server 127.0.0.1:50052
"""

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet, MethodDescriptorProto
from google.protobuf.message import DecodeError

from authclient._judging.rules import (
    DESCRIBED_TWICE,
    EXEMPT_METHODS,
    EXEMPT_SERVICES,
    RuleRejected,
    check_role_name,
    check_roles,
    rule_of,
)
from authclient._wire.channels import CannotOpen, open_named

FOUND, UNREADABLE = 1, 2
SERVER_SECONDS = 10.0


class Unreadable(Exception):
    """The descriptors cannot be had. The text says why, and what to do."""


def methods_of(files: Iterable[FileDescriptorProto]) -> dict[str, MethodDescriptorProto]:
    """Return the methods that need rules, by full name such as `/orders.v1.Orders/Cancel`."""
    return dict(_methods(files))


def _methods(files: Iterable[FileDescriptorProto]) -> Iterator[tuple[str, MethodDescriptorProto]]:
    for file in files:
        for service in file.service:
            for method in service.method:
                name = f"/{f'{file.package}.{service.name}'.lstrip('.')}/{method.name}"
                if name not in EXEMPT_METHODS:
                    yield name, method


def described_twice(files: Iterable[FileDescriptorProto]) -> set[str]:
    """Return the methods of services that two files define. The same file may stand there twice."""
    distinct = {file.SerializeToString(deterministic=True): file for file in files}
    counts = Counter(name for name, _ in _methods(distinct.values()))
    return {name for name, count in counts.items() if count > 1}


def complaints(files: Iterable[FileDescriptorProto], roles: Collection[str] | None = None) -> Iterator[str]:
    """Yield what is wrong, one method a line.

    Args:
        roles: the names that exist; None leaves them unchecked.
    """
    files = list(files)
    doubtful = described_twice(files)
    for name, method in sorted(methods_of(files).items()):
        try:
            if name in doubtful:
                raise RuleRejected(DESCRIBED_TWICE)
            rule = rule_of(method.options)
            if roles is not None:
                check_roles(rule, roles)
        except RuleRejected as rejected:
            yield f"{name}: {rejected}"


def from_file(path: Path) -> list[FileDescriptorProto]:
    """Return the files of a descriptor set. Raises Unreadable."""
    try:
        return list(FileDescriptorSet.FromString(path.read_bytes()).file)
    except OSError as error:
        raise Unreadable(f"{path}: {error.strerror}") from None
    except DecodeError:
        raise Unreadable(
            f"{path} is no descriptor set. Make one: buf build -o service.binpb, "
            "or protoc --include_imports --descriptor_set_out=service.binpb"
        ) from None


def from_server(channel: grpc.Channel) -> list[FileDescriptorProto]:
    """Return the files of a server that has reflection. Raises Unreadable."""
    try:
        # Here, because only this needs it, and services that are guarded need not install it.
        from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (  # noqa: PLC0415
            ProtoReflectionDescriptorDatabase,
        )
    except ImportError:
        raise Unreadable(
            "Reading a running server needs grpcio-reflection: pip install '/path/to/authservice[lint]'"
        ) from None
    try:
        grpc.channel_ready_future(channel).result(SERVER_SECONDS)
        database = ProtoReflectionDescriptorDatabase(grpc.intercept_channel(channel, _Impatient()))
        files = [file for name in database.get_services() for file in _files_of(name, database)]
    except grpc.FutureTimeoutError:
        raise Unreadable("The server does not answer. Is the address right, and does it speak plaintext?") from None
    except grpc.RpcError as error:
        raise Unreadable(
            f"The server does not describe itself ({error.code().name}). Switch its reflection on."
        ) from None
    except KeyError as error:
        raise Unreadable(f"The server has the service {error.args[0]} and does not describe it.") from None
    except (AssertionError, StopIteration):  # That is how grpc_reflection takes an answer that is none.
        raise Unreadable("The server does not describe itself as grpc.reflection.v1alpha says.") from None
    return list({file.name: file for file in files}.values())


def _files_of(service: str, database: Any) -> Iterator[FileDescriptorProto]:
    """Yield the file of a service. Raises KeyError if there is none, and the service is one that needs rules."""
    try:
        yield database.FindFileContainingSymbol(service)
    except KeyError:
        if service not in EXEMPT_SERVICES:
            raise


class _Impatient(grpc.StreamStreamClientInterceptor):
    """Waits no longer for each answer than for the connection."""

    def intercept_stream_stream(self, continuation: Callable[..., Any], details: Any, requests: Any) -> Any:
        return continuation(details._replace(timeout=SERVER_SECONDS), requests)


def add_source(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say where descriptors come from."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--descriptor-set", type=Path, metavar="FILE", help="output of `buf build -o FILE`")
    source.add_argument("--server", metavar="HOST:PORT", help="a running server with reflection")
    parser.add_argument("--ca-file", type=Path, metavar="FILE", help="speak TLS to the server, trusting this CA (PEM)")
    parser.add_argument("--insecure", action="store_true", help="speak plaintext to another machine")


def read(
    descriptor_set: Path | None, server: str | None, ca_file: Path | None, insecure: bool
) -> list[FileDescriptorProto]:
    """Return the files of the one source that is given. Raises Unreadable."""
    if descriptor_set:
        return from_file(descriptor_set)
    assert server is not None
    try:
        channel = open_named(server, ca_file, insecure)
    except CannotOpen as error:
        raise Unreadable(str(error)) from None
    with channel:
        return from_server(channel)


def read_roles(names: list[str], path: Path | None) -> list[str] | None:
    """Return the roles that exist, or None if nobody says which. Raises Unreadable."""
    try:
        listed = path.read_text().split() if path else []
    except (OSError, UnicodeDecodeError) as error:
        raise Unreadable(f"{path}: {getattr(error, 'strerror', None) or 'is no text'}") from None
    try:
        for name in (*names, *listed):
            check_role_name(name)
    except RuleRejected as rejected:
        raise Unreadable(str(rejected)) from None
    return [*names, *listed] if names or path else None


def lint(options: argparse.Namespace) -> int:
    """Carry out `authclient lint`. Returns the exit code: 1 if a rule is wrong, 2 if nothing could be read."""
    try:
        files = read(options.descriptor_set, options.server, options.ca_file, options.insecure)
        roles = read_roles(options.role, options.roles_file)
    except Unreadable as error:
        print(error, file=sys.stderr)
        return UNREADABLE
    found = list(complaints(files, roles))
    for line in found:
        print(line)
    count = len(methods_of(files))
    if not count:
        print("There is no RPC in these descriptors.", file=sys.stderr)
        return UNREADABLE
    print(f"{count} RPCs, {len(found)} without a usable rule.", file=sys.stderr)
    return FOUND if found else 0
