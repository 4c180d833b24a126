"""What the interceptor costs: the same RPC bare, guarded, and guarded in the ways that one would do without it."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack

from benchmarks.bench import IN_FLIGHT, Bench, Calls, auth_server, see_once
from benchmarks.guarded_server import METHOD
from benchmarks.processes import OTHER_CORES, SERVER_CORES, Serving, serving
from benchmarks.rows import Row
from benchmarks.seeding import Seeded

SEEN_TOKENS = 1000
"""Callers at once, as far as the interceptor's memory is concerned."""
GUARDS = {
    "idle": "an interceptor that does nothing",
    "authclient": "guarded RPC",
    "patient": "guarded RPC, requests awaited apart",
    "pyjwt": "PyJWT at each call",
    "verify": "Verify at each call",
}
BARE = "bare RPC"


def measure_guarded(bench: Bench) -> Iterator[Row]:
    """Yield each way to guard beside the bare RPC, round by round in turn, for both kinds of server."""
    seen = min(bench.sessions, SEEN_TOKENS)
    settings, seeded = bench.seeded("sqlite", "guarded", seen + bench.fresh)
    with auth_server(settings, OTHER_CORES) as auth:
        for kind in ("sync", "aio"):
            with ExitStack() as running:
                # On asyncio servers no call holds a thread while it waits.
                guards = [guard for guard in GUARDS if (kind, guard) != ("aio", "patient")]
                servers = {guard: running.enter_context(_server(kind, guard, auth)) for guard in ("bare", *guards)}
                yield from _beside_each_other(
                    bench, kind, servers, seeded.part(0, seen), seeded.part(seen, seen + bench.fresh)
                )


def _server(kind: str, guard: str, auth: Serving) -> AbstractContextManager[Serving]:
    return serving(["benchmarks.guarded_server", "{port}", kind, guard, f"127.0.0.1:{auth.port}"], {}, SERVER_CORES)


def _beside_each_other(
    bench: Bench, kind: str, servers: dict[str, Serving], known: Seeded, unknown: Seeded
) -> Iterator[Row]:
    seen = known.bearer_requests()
    bare = Calls.again_and_again(servers["bare"], METHOD, seen)
    for guard, name in GUARDS.items():
        if guard not in servers:
            continue
        see_once(servers[guard], METHOD, seen)
        calls = Calls.again_and_again(servers[guard], METHOD, seen)
        for in_flight in IN_FLIGHT:
            yield bench.beside(f"{kind}: {name}", in_flight, bare, calls, BARE)
    # Last: so many tokens drive the seen ones out of the interceptor's memory.
    fresh = Calls.once(servers["authclient"], METHOD, unknown.bearer_requests(), bench.fresh_per_round)
    for in_flight in IN_FLIGHT:
        yield bench.beside(f"{kind}: guarded RPC, token unseen", in_flight, bare, fresh, BARE)
