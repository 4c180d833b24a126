"""What stands before several servers: it gives each new connection to the next of them that takes it."""

import asyncio
import contextlib
import itertools
import threading
from collections.abc import Callable, Iterator, Sequence

READ_BYTES = 1 << 16


class Balancer:
    """Listens on a loopback port of its own. Knows no protocol, and of a server only whether it takes connections."""

    def __init__(self, ports: Callable[[], Sequence[int]]) -> None:
        self._ports = ports
        self._turns = itertools.count()
        self._passing: dict[asyncio.Task[None], list[asyncio.StreamWriter]] = {}
        self.port = 0
        self.connections = 0

    async def serve(self, listening: threading.Event) -> None:
        """Serve until `stop` is called."""
        self._loop, self._stopped = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._pass_on, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        listening.set()
        await self._stopped.wait()
        server.close()
        for ends in self._passing.values():
            for end in ends:
                end.close()
        await asyncio.gather(*self._passing)

    def stop(self) -> None:
        """End all connections. From any thread."""
        self._loop.call_soon_threadsafe(self._stopped.set)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        ends = self._passing[task] = [writer]
        if found := await self._open():
            self.connections += 1
            ends.append(found[1])
            await asyncio.gather(_copy(reader, found[1]), _copy(found[0], writer))
        writer.close()
        del self._passing[task]

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        ports = self._ports()
        first = next(self._turns)
        for number in range(len(ports)):
            with contextlib.suppress(OSError):
                return await asyncio.open_connection("127.0.0.1", ports[(first + number) % len(ports)])
        return None


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on what is sent until its end, and then the end."""
    try:
        while sent := await reader.read(READ_BYTES):
            writer.write(sent)
            await writer.drain()
    except OSError:
        pass  # The end that was reset is an end as well.
    finally:
        writer.close()


@contextlib.contextmanager
def balancing(ports: Callable[[], Sequence[int]]) -> Iterator[Balancer]:
    """Yield a balancer before what listens on the ports, of which it asks at each connection."""
    balancer, listening = Balancer(ports), threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(balancer.serve(listening)))
    thread.start()
    assert listening.wait(10), "it did not come to listen"
    try:
        yield balancer
    finally:
        balancer.stop()
        thread.join()
