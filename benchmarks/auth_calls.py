"""What calls of the service cost beside the empty RPC of an ordinary server."""

from collections.abc import Iterator

from benchmarks.bench import FLOOR, IN_FLIGHT, Bench, Calls, auth_server, empty_calls, floor_server, see_once
from benchmarks.rows import Row

AUTH = "/authapi.v1.AuthService"
VERIFY, REFRESH, LOGOUT = f"{AUTH}/Verify", f"{AUTH}/Refresh", f"{AUTH}/Logout"
KEYS = "/authapi.v1.TrustService/GetSigningKeys"


def measure_chain(bench: Bench) -> Iterator[Row]:
    """Yield the floor, and beside it what every call of the real server passes: GetSigningKeys does little else."""
    settings, _ = bench.seeded("sqlite", "chain", 0)
    with floor_server() as floor, auth_server(settings) as server:
        empty, keys = empty_calls(floor), Calls.again_and_again(server, KEYS, [(b"", None)])
        for in_flight in IN_FLIGHT:
            alone = [bench.measure(empty, in_flight) for _ in range(bench.rounds)]
            yield Row.of(f"{FLOOR}, ordinary server", in_flight, alone)
            yield bench.beside("GetSigningKeys", in_flight, empty, keys)


def measure_calls(bench: Bench, backend: str) -> Iterator[Row]:
    """Yield Verify, Refresh and Logout on one database."""
    settings, seeded = bench.seeded(backend, "calls", bench.sessions + 2 * bench.fresh)
    known = seeded.part(0, bench.sessions)
    to_see = seeded.part(bench.sessions, bench.sessions + bench.fresh)
    to_end = seeded.part(bench.sessions + bench.fresh, bench.sessions + 2 * bench.fresh)
    share = bench.fresh_per_round
    with floor_server() as floor, auth_server(settings) as server:
        see_once(server, VERIFY, known.verify_requests())
        rows = {
            # First, while the server remembers these tokens; each of the others comes for the first time.
            "Verify": Calls.again_and_again(server, VERIFY, known.verify_requests()),
            "Verify, token unseen": Calls.once(server, VERIFY, to_see.verify_requests(), share),
            "Refresh": Calls.once(server, REFRESH, to_see.refresh_requests(), share),
            "Logout, token unseen": Calls.once(server, LOGOUT, to_end.bearer_requests(), share),
        }
        for name, calls in rows.items():
            for in_flight in IN_FLIGHT:
                yield bench.beside(f"{name}, {backend}", in_flight, empty_calls(floor), calls)
