"""The port that all workers share."""

import socket
from contextlib import closing


class PortTaken(Exception):
    """Somebody else listens on the port."""


def reserve_port(host: str, port: int) -> socket.socket:
    """Return a socket that holds the port for this process and its children, and listens to nobody.

    Raises PortTaken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # First without sharing: two servers of different installations must not split their callers between them.
    with closing(socket.socket(family, socket.SOCK_STREAM)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _bind(probe, host, port)
        port = probe.getsockname()[1]
    holder = socket.socket(family, socket.SOCK_STREAM)
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    _bind(holder, host, port)
    return holder


def _bind(sock: socket.socket, host: str, port: int) -> None:
    try:
        sock.bind((host, port))
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "not a host name"
        raise PortTaken(
            f"Cannot listen on {host}:{port}: {reason}. Stop the other program or choose another --port."
        ) from None
