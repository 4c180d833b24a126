"""How much memory the service holds."""

from collections.abc import Iterator

from benchmarks.auth_calls import VERIFY
from benchmarks.bench import Bench, auth_server, see_once
from benchmarks.processes import memory
from benchmarks.rows import Row


def measure_memory(bench: Bench) -> Iterator[Row]:
    """Yield what the worker and the supervisor hold once every token has been verified and nothing is under way."""
    for backend in bench.databases.backends:
        settings, seeded = bench.seeded(backend, "memory", bench.sessions)
        with auth_server(settings) as server:
            processes = {"worker": server.worker, "supervisor": server.pid}
            at_start = {name: memory(pid) for name, pid in processes.items()}
            see_once(server, VERIFY, seeded.verify_requests())
            for name, pid in processes.items():
                after = f"{memory(pid):.1f} MiB at rest after {bench.sessions:,} tokens"
                yield Row(f"memory of the {name}, {backend}", note=f"{after}, {at_start[name]:.1f} at its start")
