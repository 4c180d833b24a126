"""How everything is measured: in turn with its floor, on servers that run by themselves."""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import cycle, islice

from benchmarks import floor
from benchmarks.databases import Databases
from benchmarks.flood import Flood, Outcome
from benchmarks.frames import Frames, Request, encoded
from benchmarks.processes import SERVER_CORES, Serving, serving
from benchmarks.rows import Measured, Row
from benchmarks.seeding import Environment, Seeded, environment, seed

IN_FLIGHT = (64, 8)
"""Calls under way at once: enough to keep a server busy at any price, and what a few callers have."""
CONNECTIONS = 4
FRESH_PER_SECOND = 3000
"""Requests that can be used once, for each second of a measurement. A faster server ends its measurement earlier."""
WARM_UP = 4
"""Calls for each in flight that go before the first round: they find connections unopened and statements unread."""
FLOOR = "empty RPC"


@dataclass(slots=True)
class Calls:
    """Calls of one method of one server, taken one after another; a measurement takes at most `most` of them."""

    server: Serving
    method: str
    source: Iterator[Frames]
    most: int | None = None

    @classmethod
    def again_and_again(cls, server: Serving, method: str, requests: Iterable[Request]) -> "Calls":
        """Return calls with these requests in turn, for ever."""
        return cls(server, method, cycle(encoded(method, requests)))

    @classmethod
    def once(cls, server: Serving, method: str, requests: Iterable[Request], most: int | None = None) -> "Calls":
        """Return calls with each of these requests once."""
        return cls(server, method, iter(encoded(method, requests)), most)


@dataclass(frozen=True, slots=True)
class Bench:
    """What every measurement shares. `seconds` is the length of one; `sessions` is how many are asked about."""

    seconds: float
    rounds: int
    sessions: int
    logouts: int
    watchers: int
    bcrypt_cost: int
    databases: Databases

    @property
    def fresh_per_round(self) -> int:
        """How many requests that can be used once a measurement gets."""
        return int(self.seconds * FRESH_PER_SECOND)

    @property
    def fresh(self) -> int:
        """How many such requests a row takes, with each number of calls in flight."""
        return sum(self.fresh_per_round * self.rounds + WARM_UP * in_flight for in_flight in IN_FLIGHT)

    def seeded(self, backend: str, name: str, sessions: int) -> tuple[Environment, Seeded]:
        """Return the environment of a server with a new database, and the sessions in there."""
        folder = self.databases.folder / f"{name}-{backend}"
        folder.mkdir()
        server = environment(self.databases.new(backend, name), folder, self.bcrypt_cost)
        return server, seed(server, sessions)

    def measure(self, calls: Calls, in_flight: int) -> Measured:
        """Make calls for a time, `in_flight` at once. Raises RuntimeError if any of them fails."""
        return self._make(calls, in_flight, calls.most)

    def _make(self, calls: Calls, in_flight: int, most: int | None) -> Measured:
        before = calls.server.cpu_seconds()
        flood = Flood(calls.server.port, islice(calls.source, most), CONNECTIONS, in_flight // CONNECTIONS)
        outcome = flood.run(self.seconds)
        require_answers(calls.method, outcome)
        return Measured(outcome, (calls.server.cpu_seconds() - before) / len(outcome.latencies) * 1e6)

    def beside(self, name: str, in_flight: int, base: Calls, calls: Calls, what: str = FLOOR) -> Row:
        """Return the row of some calls, measured in turn with those that they are compared to."""
        for each in (base, calls):
            self._make(each, in_flight, WARM_UP * in_flight)
        pairs = [(self.measure(base, in_flight), self.measure(calls, in_flight)) for _ in range(self.rounds)]
        floor_rate = Row.of(what, in_flight, [pair[0] for pair in pairs]).rate
        assert floor_rate
        row = Row.of(name, in_flight, [pair[1] for pair in pairs])
        ratios = (subject.rate / floor.rate for floor, subject in pairs)
        return row.beside(ratios, f"{what} ({floor_rate.median:,.0f}/s)")


def require_answers(method: str, outcome: Outcome) -> None:
    """Raise RuntimeError unless every call was answered well, and there was one."""
    if outcome.failed or not outcome.latencies:
        raise RuntimeError(
            f"{method}: {outcome.failed} calls failed, {len(outcome.latencies)} were answered; "
            "the figures would be worthless"
        )


def see_once(server: Serving, method: str, requests: Iterable[Request]) -> None:
    """Let a server see each of these requests, so that none is new to it. Raises RuntimeError if any of them fails."""
    require_answers(method, Flood(server.port, iter(encoded(method, requests))).run(seconds=600))


def floor_server() -> AbstractContextManager[Serving]:
    """Run the floor on the core of servers under measurement."""
    return serving(["benchmarks.floor", "{port}"], {}, SERVER_CORES)


def empty_calls(server: Serving) -> Calls:
    """Return empty calls of the floor."""
    return Calls.again_and_again(server, floor.METHOD, [(b"", None)])


def auth_server(
    settings: Environment, cores: list[int] = SERVER_CORES, *, workers: int = 1
) -> AbstractContextManager[Serving]:
    """Run the real server on some cores."""
    return serving(["authservice", "serve", "--port", "{port}", "--workers", str(workers)], settings, cores)
