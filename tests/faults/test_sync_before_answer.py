"""What is answered as done has reached the disk: strace watches the server ask the kernel for it."""

import functools
import os
import re
import shutil
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from authservice.config import Settings
from tests.faults.processes import ServerProcess
from tests.faults.seeding import seeder
from tests.faults.wrong_clock import LIBRARY, WrongClock
from tests.observed import login, logout, verify

STRACE = shutil.which("strace")
WRITES = int(os.environ.get("AUTHSERVICE_TEST_SYNCED_WRITES", "20"))
JUMPS = (1, -1, 49, -49)
"""Hours."""
_SYNC = re.compile(r"^\d+ +(\d+\.\d+) f(?:data)?sync\(|^\d+ +(\d+\.\d+) <\.\.\. f(?:data)?sync resumed>")


@pytest.mark.skipif(STRACE is None, reason="no strace on this machine to watch the server's system calls")
@pytest.mark.parametrize("backend", ["sqlite"])
def test_k2_every_logout_is_synced_between_request_and_answer_whatever_the_clock_says(
    settings: Settings, database_url: str, tmp_path: Path
) -> None:
    trace, clock = tmp_path / "trace", WrongClock(tmp_path)
    # -D keeps the server the child of this process; -ttt stamps with the clock of time.time() here, which stays right.
    wrapper = [str(STRACE), "-D", "-f", "-qq", "-ttt", "-e", "trace=fsync,fdatasync", "-o", str(trace)]
    with seeder(settings) as seeds:
        sessions = seeds.sessions(seeds.user("ada"), WRITES)
    server = ServerProcess(database_url, tmp_path / "server", [*wrapper, *(clock.wrapper if LIBRARY else ())])
    logouts, verifications = [], []
    try:
        server.start()
        with server.stub() as stub:
            for jump in JUMPS if LIBRARY else ():
                clock.set(timedelta(hours=jump))
                logouts.append(timed(functools.partial(logout, stub, login(stub, "ada").access_token)))
            clock.set(timedelta(0))
            for tokens in sessions:
                verifications.append(timed(functools.partial(verify, stub, tokens.access_token)))
                logouts.append(timed(functools.partial(logout, stub, tokens.access_token)))
        # strace writes a line before it lets the server go on, so nothing has to be waited for.
        lines = trace.read_text().splitlines()
    finally:
        server.kill_all()
    moments = [float(found[1] or found[2]) for line in lines if (found := _SYNC.match(line))]

    def synced(begin: float, end: float) -> bool:
        return any(begin < moment < end for moment in moments)

    print(f"K2: {sum(synced(*call) for call in logouts)} of {len(logouts)} acknowledged logouts were synced first")
    assert all(synced(*call) for call in logouts)
    # Or the syncs would be somebody else's, and the line above would hold of anything.
    assert not any(synced(*call) for call in verifications)


def timed(call: Callable[[], object]) -> tuple[float, float]:
    """Make a call that has something to answer, and return when it began and when it ended."""
    begin = time.time()
    assert call()
    return begin, time.time()
