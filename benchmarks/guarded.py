"""What the interceptor costs: the same RPC bare, guarded, and guarded in the ways that one would do without it."""

import statistics
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack

from benchmarks.flood import Request
from benchmarks.guarded_server import METHOD
from benchmarks.processes import OTHER_CORES, SERVER_CORES, Serving, serving
from benchmarks.rows import Bench, Measured, Row, auth_server, summary
from benchmarks.seeding import seed

SEEN_TOKENS = 1000
"""Callers at once, as far as the interceptor's memory is concerned."""
GUARDS = ("bare", "authclient", "pyjwt", "verify")
NAMES = {
    "bare": "bare RPC",
    "authclient": "guarded RPC",
    "pyjwt": "PyJWT at each call",
    "verify": "Verify at each call",
}


def measure_guarded(bench: Bench, url: str) -> Iterator[Row]:
    """Yield each way to guard beside the bare RPC, round by round in turn, for both kinds of server."""
    settings = bench.settings(url, "guarded")
    tokens = seed(settings, bench.sessions).access_tokens
    seen = [(b"", token) for token in tokens[:SEEN_TOKENS]]
    unseen = [(b"", token) for token in tokens[SEEN_TOKENS:]]
    with auth_server(settings, OTHER_CORES) as auth:
        for kind in ("sync", "aio"):
            with ExitStack() as running:
                servers = {guard: running.enter_context(_server(kind, guard, auth)) for guard in GUARDS}
                yield from _beside_each_other(bench, kind, servers, seen, unseen)


def _server(kind: str, guard: str, auth: Serving) -> AbstractContextManager[Serving]:
    return serving(["benchmarks.guarded_server", "{port}", kind, guard, f"127.0.0.1:{auth.port}"], {}, SERVER_CORES)


def _beside_each_other(
    bench: Bench,
    kind: str,
    servers: dict[str, Serving],
    seen: Sequence[Request],
    unseen: Sequence[Request],
) -> Iterator[Row]:
    for server in servers.values():
        bench.flood(server, METHOD, seen, once=True)
    rounds: list[dict[str, Measured]] = []
    share = len(unseen) // bench.rounds
    for number in range(bench.rounds):
        measured = {guard: bench.flood(server, METHOD, seen) for guard, server in servers.items()}
        fresh = unseen[number * share : (number + 1) * share]
        measured["unseen"] = bench.flood(servers["authclient"], METHOD, fresh, once=True)
        measured["bare again"] = bench.flood(servers["bare"], METHOD, fresh, once=True)
        rounds.append(measured)
    yield summary(f"{kind}: bare RPC", [each["bare"] for each in rounds])
    for guard in ("authclient", "pyjwt", "verify"):
        yield _beside(f"{kind}: {NAMES[guard]}", rounds, guard, "bare")
    yield _beside(f"{kind}: guarded RPC, token unseen", rounds, "unseen", "bare again")


def _beside(name: str, rounds: list[dict[str, Measured]], guard: str, floor: str) -> Row:
    row = summary(name, [each[guard] for each in rounds])
    row.ratio = statistics.median(each[guard][0].rate / each[floor][0].rate for each in rounds)
    row.against = "bare RPC"
    return row
