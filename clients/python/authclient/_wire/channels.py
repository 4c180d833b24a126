"""Connections to other services, on which no token leaves this machine in the clear."""

import ipaddress
import re
from typing import Any, TypeAlias

import grpc

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0
"""Seconds between two attempts to connect, doubled from one to the other."""

_OPTIONS = (
    ("grpc.initial_reconnect_backoff_ms", int(FIRST_PAUSE * 1000)),
    ("grpc.min_reconnect_backoff_ms", 1000),
    ("grpc.max_reconnect_backoff_ms", int(LONGEST_PAUSE * 1000)),
    ("grpc.dns_min_time_between_resolutions_ms", 500),  # Else 30 s, for which a server that has moved is not found.
)
NEVER_RESENT = (("grpc.enable_retries", 0),)
"""For the connection to the authentication service. While grpc lets go of a connection that a server has closed, it
sends calls that wait for one again and again, without a pause, and keeps a record of each attempt: with grpcio 1.85,
the memory of a client grew by a gigabyte a second when a server ended under load. So what is worth sending again is
sent again here, after a pause."""

# Nothing in the environment is to lead plaintext away from this machine.
_PLAINTEXT_OPTIONS = (*_OPTIONS, ("grpc.enable_http_proxy", 0))


Options: TypeAlias = tuple[tuple[str, int], ...]


class NoAddress(ValueError):
    """A text is not `host:port`. The exception's text says what is missing."""


def open_channel(
    address: str, credentials: grpc.ChannelCredentials | None, insecure: bool, options: Options = ()
) -> grpc.Channel:
    """Return a channel to `host:port`.

    Args:
        credentials: how to reach the service; None for plaintext, which is for loopback only.
        insecure: allow plaintext to another machine.
        options: more of grpc's options.

    Raises:
        ValueError: tokens would leave this machine in the clear, or the address names no port (NoAddress).
    """
    if credentials is not None:
        return grpc.secure_channel(address, credentials, options=_OPTIONS + options)
    _require_loopback(address, insecure)
    return grpc.insecure_channel(address, options=_PLAINTEXT_OPTIONS + options)


def open_aio_channel(
    address: str,
    credentials: grpc.ChannelCredentials | None,
    insecure: bool,
    options: Options = (),
    interceptors: Any = (),
) -> grpc.aio.Channel:
    """As `open_channel`, for asyncio."""
    if credentials is not None:
        return grpc.aio.secure_channel(address, credentials, options=_OPTIONS + options, interceptors=interceptors)
    _require_loopback(address, insecure)
    return grpc.aio.insecure_channel(address, options=_PLAINTEXT_OPTIONS + options, interceptors=interceptors)


def _require_loopback(address: str, insecure: bool) -> None:
    _require_port(address)
    host = address.rpartition(":")[0].strip("[]")
    try:
        is_loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_loopback = host == "localhost" or address.startswith("unix:")
    if not (is_loopback or insecure):
        raise ValueError(
            f"{address} is another machine, and tokens would travel in the clear. Pass "
            "credentials=grpc.ssl_channel_credentials(...), or insecure=True if something else encrypts the way there"
        )


def _require_port(address: str) -> None:
    """Raise NoAddress for what people write in place of `host:port`: to grpc that is a name, and port 443 of it."""
    if re.match("https?://", address):
        raise NoAddress(f"{address!r} is a URL; write host:port, such as 127.0.0.1:50051")
    has_scheme = address.startswith("unix:") or "://" in address
    if not has_scheme and (_is_ip(address) or not re.search(r":[0-9]+\Z", address)):
        raise NoAddress(f"{address!r} names no port; write host:port, such as 127.0.0.1:50051")


def _is_ip(address: str) -> bool:
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return False
    return True
