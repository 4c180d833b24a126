"""The port that all workers share, at every address of the host that the server listens on."""

import errno
import socket
import time
from contextlib import closing
from dataclasses import dataclass
from typing import Any, TypeAlias

Place: TypeAlias = tuple[socket.AddressFamily, tuple[Any, ...]]
"""An address as the system takes it, with its kind."""

_NOT_HERE = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
"""Of an address of another machine, and of a kind that this one does not have: IPv4, or IPv6."""
_REMEDIES = {
    errno.EADDRINUSE: "Stop the other program or choose another --port.",
    errno.EACCES: "Choose a --port of 1024 or more, or let this user have lower ones.",
    **dict.fromkeys(_NOT_HERE, "Choose a --host that is an address of this machine."),
}
LEAVING_SECONDS = 2.0
"""How long a port may be taken: the workers of a server that was killed take a moment to leave theirs."""
PAUSE = 0.05


class CannotListen(Exception):
    """The port cannot be had there. The text says what is wrong, and what to do."""


@dataclass(frozen=True, slots=True)
class Reservation:
    """Sockets that hold a port for this process and its children, and listen to nobody."""

    sockets: tuple[socket.socket, ...]

    @property
    def port(self) -> int:
        """The port."""
        return int(self.sockets[0].getsockname()[1])

    @property
    def addresses(self) -> tuple[str, ...]:
        """Each address with the port, as grpc takes it."""
        return tuple(_written(held.getsockname()) for held in self.sockets)

    def close(self) -> None:
        """Give the port back."""
        for held in self.sockets:
            held.close()


def reserve_port(host: str, port: int) -> Reservation:
    """Hold a port, 0 for a free one, at each address of a host that this machine has. Raises CannotListen."""
    places = _places(host, port)
    until = time.monotonic() + LEAVING_SECONDS
    while True:
        try:
            return _hold(places, port)
        except OSError as error:
            if error.errno == errno.EADDRINUSE and time.monotonic() < until:
                time.sleep(PAUSE)
                continue
            remedy = _REMEDIES.get(error.errno or 0, "Choose another --host or --port.")
            known = [_written(place).rpartition(":")[0] for _, place in places]
            meaning = "" if known in ([host], [f"[{host}]"]) else f" ({host} is {', '.join(known)})"
            text = f"Cannot listen on {host}:{port}: {error.strerror}{meaning}. {remedy}"
            raise CannotListen(text) from None


def _places(host: str, port: int) -> list[Place]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "not a host name"
        text = f"Cannot listen on {host}:{port}: {reason}. Correct the --host, or have it resolved to an address."
        raise CannotListen(text) from None
    return list(dict.fromkeys((family, place) for family, _, _, _, place in found))


def _hold(places: list[Place], port: int) -> Reservation:
    """Hold it at all that are here. Raises OSError if there is none, or where one cannot be had."""
    sockets: list[socket.socket] = []
    missing: OSError | None = None
    try:
        for family, (address, _, *scope) in places:
            try:
                held = _held(family, (address, port, *scope))
            except OSError as error:
                if error.errno not in _NOT_HERE:
                    raise
                missing = error
                continue
            sockets.append(held)
            port = held.getsockname()[1]  # The others get the same.
        if missing and not sockets:
            raise missing
    except OSError:
        Reservation(tuple(sockets)).close()
        raise
    return Reservation(tuple(sockets))


def _held(family: socket.AddressFamily, place: tuple[Any, ...]) -> socket.socket:
    address, port, *scope = place
    # First without sharing: two servers of different installations must not split their callers between them.
    with closing(socket.socket(family, socket.SOCK_STREAM)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(place)
        port = probe.getsockname()[1]
    held = socket.socket(family, socket.SOCK_STREAM)
    try:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind((address, port, *scope))
    except BaseException:
        held.close()
        raise
    return held


def _written(place: tuple[Any, ...]) -> str:
    host, port = socket.getnameinfo(place, socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
