"""Connections to other services, on which no token leaves this machine in the clear."""

import inspect
import os
from pathlib import Path
from typing import Any, TypeAlias

import grpc

from authclient._wire.addresses import NoAddress, check_address, is_loopback

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0
"""Seconds between two attempts to connect, doubled from one to the other."""

CONNECT_SECONDS = 20.0
"""How long an attempt to connect may take: proxies and far sites need seconds. One that is refused ends at once."""

_OPTIONS = (
    ("grpc.initial_reconnect_backoff_ms", int(FIRST_PAUSE * 1000)),
    ("grpc.min_reconnect_backoff_ms", int(CONNECT_SECONDS * 1000)),
    ("grpc.max_reconnect_backoff_ms", int(LONGEST_PAUSE * 1000)),
    ("grpc.dns_min_time_between_resolutions_ms", 500),  # Else 30 s, for which a server that has moved is not found.
)
NEVER_RESENT = (("grpc.enable_retries", 0),)
"""For the connection to the authentication service. While grpc lets go of a connection that a server has closed, it
sends calls that wait for one again and again, without a pause, and keeps a record of each attempt: with grpcio 1.85,
the memory of a client grew by a gigabyte a second when a server ended under load. So what is worth sending again is
sent again here, after a pause."""
_PLAINTEXT_OPTIONS = (("grpc.enable_http_proxy", 0),)
"""Nothing in the environment is to lead plaintext away from this machine."""
OF_ITS_OWN = (("grpc.use_local_subchannel_pool", 1),)
"""For a channel that is to share no connection with others to the same address. So are all in a child that was forked:
there grpc would go on with the connection of the parent, and calls end with "Wrong file descriptor generation" (grpcio
1.85) or "Bad file descriptor" (1.71)."""
_FIRST_PID = os.getpid()

Options: TypeAlias = tuple[tuple[str, int], ...]


class CannotOpen(Exception):
    """A command cannot reach the server that its arguments name. The text says why, and what to do."""


def open_named(server: str, ca_file: Path | None, insecure: bool) -> grpc.Channel:
    """Return a channel to the server that the arguments of a command name. Raises CannotOpen."""
    try:
        credentials = grpc.ssl_channel_credentials(ca_file.read_bytes()) if ca_file else None
        return open_channel(server, credentials, insecure)
    except OSError as error:
        raise CannotOpen(f"{ca_file}: {error.strerror}") from None
    except NoAddress as error:
        raise CannotOpen(str(error)) from None
    except ValueError:
        raise CannotOpen(f"{server} is another machine. Give a --ca-file, or --insecure for plaintext.") from None


def open_channel(
    address: str,
    credentials: grpc.ChannelCredentials | None,
    insecure: bool,
    options: Options = (),
    *,
    is_instrumented: bool = False,
) -> grpc.Channel:
    """Return a channel to `host:port`.

    Args:
        credentials: how to reach the service; None for plaintext, which is for loopback only.
        insecure: allow plaintext to another machine.
        options: more of grpc's options.
        is_instrumented: leave what a process has put around grpc's functions, such as OpenTelemetry's spans: for a
            channel that is the caller's own. What stays between us and the authentication service does without.

    Raises:
        ValueError: tokens would leave this machine in the clear, or the text is no address (NoAddress).
        TypeError: it is no text, or the credentials are none.
    """
    check_target(address, credentials, insecure)
    secure, plaintext = grpc.secure_channel, grpc.insecure_channel
    if not is_instrumented:
        secure, plaintext = inspect.unwrap(secure), inspect.unwrap(plaintext)
    if credentials is not None:
        return secure(address, credentials, options=_options() + options)
    return plaintext(address, options=_options() + _PLAINTEXT_OPTIONS + options)


def open_aio_channel(
    address: str,
    credentials: grpc.ChannelCredentials | None,
    insecure: bool,
    options: Options = (),
    interceptors: Any = (),
) -> grpc.aio.Channel:
    """As `open_channel`, for asyncio."""
    check_target(address, credentials, insecure)
    if credentials is not None:
        return grpc.aio.secure_channel(address, credentials, options=_options() + options, interceptors=interceptors)
    options = _options() + _PLAINTEXT_OPTIONS + options
    return grpc.aio.insecure_channel(address, options=options, interceptors=interceptors)


def check_target(address: object, credentials: object, insecure: bool) -> None:
    """Raise as `open_channel`, without opening one."""
    text = check_address(address, needs_port=credentials is None)
    if credentials is not None:
        if not isinstance(credentials, grpc.ChannelCredentials):
            raise TypeError("credentials must be what grpc.ssl_channel_credentials(...) returns")
    elif not (insecure or is_loopback(text)):
        raise ValueError(
            f"{address} is another machine, and tokens would travel in the clear. Pass "
            "credentials=grpc.ssl_channel_credentials(...), or insecure=True if something else encrypts the way there"
        )


def _options() -> Options:
    return _OPTIONS if os.getpid() == _FIRST_PID else _OPTIONS + OF_ITS_OWN
