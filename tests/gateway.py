"""A host of its own in front of a server, and the network on the way there: it fails as networks do."""

import contextlib
import socket
import threading
import time


class _Way:
    """One connection through the gateway, both directions."""

    def __init__(self, gateway: "Gateway", client: socket.socket) -> None:
        self._gateway = gateway
        self._client = client
        self._server: socket.socket | None = None
        self._used_at = time.monotonic()
        self.is_silent = False

    def lead(self) -> None:
        """Connect, and pass on what comes, until one side ends it."""
        if self._gateway.closed.wait(self._gateway.delay):
            return
        try:
            self._server = socket.create_connection(("127.0.0.1", self._gateway.target))
        except OSError:
            self.cut()
            return
        for ends in ((self._client, self._server), (self._server, self._client)):
            threading.Thread(target=self._pass_on, args=ends, daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                idle = time.monotonic() - self._used_at
                self._used_at += idle
                self.is_silent = self.is_silent or idle > self._gateway.forgets_after
                if not self.is_silent:
                    sink.sendall(data)
            if not self.is_silent:
                sink.shutdown(socket.SHUT_WR)

    def cut(self) -> None:
        """End it for both sides."""
        for each in filter(None, (self._client, self._server)):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


class Gateway:
    """Listens on a port of its own and connects each who comes with the target.

    Attributes:
        port: where it listens.
        target: the port of loopback that new connections lead to.
        delay: seconds that pass before a new connection leads anywhere.
        forgets_after: seconds without a byte after which a connection is silent for good, as load balancers of clouds
            and firewalls do it.
        taken: how many connections have come.
    """

    def __init__(self, target: int, host: str = "127.0.0.1", port: int = 0) -> None:
        self.target = target
        self.delay = 0.0
        self.forgets_after = float("inf")
        self.taken = 0
        self.closed = threading.Event()
        self._ways: list[_Way] = []
        self._listener = socket.create_server((host, port))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> "Gateway":
        return self

    def __exit__(self, *_: object) -> None:
        self.die()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.taken += 1
                way = _Way(self, client)
                self._ways.append(way)
                threading.Thread(target=way.lead, daemon=True).start()

    def silence(self) -> None:
        """Swallow what goes over the connections that there are, and close none of them. New ones work."""
        for way in self._ways:
            way.is_silent = True

    def cut(self) -> None:
        """End the connections that there are. New ones work."""
        for way in self._ways:
            way.cut()

    def freeze(self) -> None:
        """Say nothing any more to anybody, as a process that was stopped: its machine still takes connections."""
        self.delay = threading.TIMEOUT_MAX
        self.silence()

    def die(self) -> None:
        """End every connection, and take no more."""
        self.closed.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
