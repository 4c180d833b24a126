"""What is answered as done has reached the disk: strace watches the server ask the kernel for it."""

import os
import re
import shutil
import time
from pathlib import Path

import pytest

from authservice.config import Settings
from tests.faults.processes import ServerProcess
from tests.faults.seeding import seeder
from tests.observed import logout, verify

STRACE = shutil.which("strace")
WRITES = int(os.environ.get("AUTHSERVICE_TEST_SYNCED_WRITES", "20"))
_SYNC = re.compile(r"^\d+ +(\d+\.\d+) f(?:data)?sync\(|^\d+ +(\d+\.\d+) <\.\.\. f(?:data)?sync resumed>")


@pytest.mark.skipif(STRACE is None, reason="no strace on this machine to watch the server's system calls")
@pytest.mark.parametrize("backend", ["sqlite"])
def test_k2_every_logout_is_synced_between_request_and_answer(
    settings: Settings, database_url: str, tmp_path: Path
) -> None:
    trace = tmp_path / "trace"
    # -D keeps the server the child of this process; -ttt stamps with the same clock as time.time().
    wrapper = [str(STRACE), "-D", "-f", "-qq", "-ttt", "-e", "trace=fsync,fdatasync", "-o", str(trace)]
    with seeder(settings) as seeds:
        sessions = seeds.sessions(seeds.user("ada"), WRITES)
    server = ServerProcess(database_url, tmp_path / "server", wrapper)
    logouts, verifications = [], []
    try:
        server.start()
        with server.stub() as stub:
            for tokens in sessions:
                begin = time.time()
                verify(stub, tokens.access_token)
                verifications.append((begin, time.time()))
                begin = time.time()
                assert logout(stub, tokens.access_token) == 1
                logouts.append((begin, time.time()))
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
