"""A database that is restored from a backup, by its own tools, while services go on watching."""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import grpc
from authclient import Trust
from sqlalchemy import URL, make_url

from authservice.config import Settings
from tests.clients.guarded import Guarded, handler
from tests.clients.scripted import bearer
from tests.conftest import MASTER_KEY
from tests.faults.processes import running_server, wait_until
from tests.faults.seeding import seeder
from tests.observed import login, logout, refresh, refusal, verify

Restore = Callable[[], None]
SOON = 10.0
OTHERS = 1_100
"""Sessions of somebody else: more than are deleted at once."""


def back_up(url: URL, folder: Path) -> Restore:
    """Take a backup as docs/operations.md says, and return what restores it."""
    if url.get_backend_name() == "sqlite":
        kept = folder / "kept.db"
        with closing(sqlite3.connect(url.database or "")) as live, closing(sqlite3.connect(kept)) as copy:
            live.backup(copy)

        def restore_file() -> None:
            for suffix in ("-wal", "-shm"):
                Path(f"{url.database}{suffix}").unlink(missing_ok=True)
            shutil.copyfile(kept, url.database or "")

        return restore_file
    dumper, client = shutil.which("mariadb-dump"), shutil.which("mariadb")
    assert dumper, "mariadb-dump comes with mariadb-client"
    assert client
    where = ["--no-defaults", "--skip-ssl", f"--host={url.host}", f"--port={url.port}", f"--user={url.username}"]
    environment = {"PATH": os.environ["PATH"], "MYSQL_PWD": str(url.password or "")}
    dumped = subprocess.run(
        [dumper, *where, "--single-transaction", str(url.database)], env=environment, check=True, capture_output=True
    ).stdout

    def restore_dump() -> None:
        subprocess.run([client, *where, str(url.database)], input=dumped, env=environment, check=True)

    return restore_dump


def adopt(database_url: str, folder: Path) -> str:
    """Run the command and return what it says."""
    command = [sys.executable, "-m", "authservice", "adopt-backup", "--yes"]
    variables = {"PATH": os.environ["PATH"], "AUTHSERVICE_MASTER_KEY": MASTER_KEY}
    variables |= {"AUTHSERVICE_DATABASE_URL": database_url, "AUTHSERVICE_DATA_DIR": str(folder)}
    return subprocess.run(command, cwd=folder, env=variables, check=True, capture_output=True, text=True).stdout


def test_k7_an_adopted_backup_brings_no_session_and_no_token_back_to_life(
    database_url: str, settings: Settings, tmp_path: Path
) -> None:
    with seeder(settings) as seeds:
        kept, left = seeds.sessions(seeds.user("ada"), 2)
        seeds.sessions(seeds.user("grace"), OTHERS)
    with (
        running_server(database_url, tmp_path / "server") as server,
        Trust(f"127.0.0.1:{server.port}", audience="internal") as trust,
        Guarded(trust, {"buy": handler("unary_unary", lambda _request, _context: b"done")}) as service,
    ):
        assert trust.wait_until_ready(SOON)

        def answer(token: str) -> str:
            done = service.call("unary_unary", name="buy", metadata=bearer(token))
            return done.reason or done.code.name

        restore = back_up(make_url(database_url), tmp_path)
        with server.stub() as stub:
            logout(stub, left.access_token)
        wait_until(lambda: answer(left.access_token) == "SESSION_ENDED", SOON, "the end of a session")
        server.terminate()
        assert server.exit_code() == 0

        restore()
        said = adopt(database_url, tmp_path)
        assert f"{OTHERS + 2} sessions are ended, 2 signing keys replaced." in said
        server.start()
        with server.stub() as stub:
            for session in (kept, left):
                assert refusal(refresh, stub, session.refresh_token).reason == "SESSION_ENDED"
                assert refusal(verify, stub, session.access_token).code is grpc.StatusCode.UNAUTHENTICATED
            dead = [session.access_token for session in (kept, left)]
            wait_until(lambda: {answer(token) for token in dead} == {"TOKEN_INVALID"}, SOON, "the news of the keys")
            anew = login(stub, "ada").access_token
            wait_until(lambda: answer(anew) == "OK", SOON, "the news of the key that signs now")
