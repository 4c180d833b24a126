"""The embedded file is moved or replaced while servers run: nothing is acknowledged that would be lost."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from authservice.config import Settings
from authservice.domain.errors import StorageUnavailable
from tests.conftest import MASTER_KEY
from tests.faults.processes import NOT_SERVING, ServerProcess, running_server, wait_until
from tests.faults.seeding import seeder
from tests.observed import PASSWORD, login, logout, refresh, refusal, register, verify

pytestmark = pytest.mark.parametrize("backend", ["sqlite"])
SECONDS = 30.0


def away(file: Path) -> Path:
    return file.with_name(f"{file.name}.away")


def move(file: Path) -> None:
    file.rename(away(file))


def replace_by_a_copy(file: Path) -> None:
    copy = file.with_name(f"{file.name}.copy")
    shutil.copy(file, copy)
    move(file)
    copy.rename(file)


def lines(server: ServerProcess, event: str) -> list[dict[str, object]]:
    return [line for line in map(json.loads, server.stderr().splitlines()) if line["event"] == event]


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm"])
@pytest.mark.parametrize("harm", [move, replace_by_a_copy])
def test_a_server_whose_files_are_not_in_place_acknowledges_nothing_until_they_are(
    settings: Settings, database_url: str, tmp_path: Path, suffix: str, harm: Callable[[Path], None]
) -> None:
    file = tmp_path / f"authservice.db{suffix}"
    with seeder(settings) as seeds:
        first, second, third = seeds.sessions(seeds.user("ada"), 3)
    with running_server(database_url, tmp_path / "server", workers=2) as server:
        with server.stub() as a, server.stub() as b:
            assert logout(a, first.access_token) == 1
            harm(file)
            calls = (
                (register, "grace", PASSWORD[::-1]),
                (login, "ada"),
                (refresh, second.refresh_token),
                (logout, second.access_token),
            )
            for stub in (a, b):
                for call, *arguments in calls:
                    assert refusal(call, stub, *arguments).reason == "STORAGE_UNAVAILABLE"
            wait_until(lambda: len(lines(server, "database_away")) == 2, SECONDS, "word of both workers")
            wait_until(lambda: server.health() == NOT_SERVING, SECONDS, "NOT_SERVING")
            assert refusal(verify, a, third.access_token).reason == "STORAGE_UNAVAILABLE"
            causes = {str(line["cause"]) for line in lines(server, "database_away")}
            assert all(f"{tmp_path}/authservice.db or its -wal or -shm was moved" in cause for cause in causes), causes
            away(file).replace(file)
            server.wait_serving()
            assert logout(a, second.access_token) == 1
        server.terminate()
        assert server.exit_code() == 0
        assert not lines(server, "worker_died")
    with seeder(settings) as seeds:
        rows = [seeds.session(tokens.session_id) for tokens in (first, second, third)]
        assert [row.ended_at is None for row in rows] == [False, False, True]


def test_a_worker_that_replaces_another_does_not_take_another_file_for_the_database(
    settings: Settings, database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "authservice.db"
    with seeder(settings) as seeds:
        (tokens,) = seeds.sessions(seeds.user("ada"), 1)
    with running_server(database_url, tmp_path / "server", workers=1) as server:
        replace_by_a_copy(file)
        server.kill_worker(server.workers()[0])
        wait_until(lambda: "was moved, deleted or replaced" in server.stderr(), SECONDS, "word of a worker")
        away(file).replace(file)
        server.wait_serving()
        with server.stub() as stub:
            assert logout(stub, tokens.access_token) == 1


def test_what_was_acknowledged_is_in_the_file_wherever_it_is_once_all_have_ended(
    settings: Settings, database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "authservice.db"
    with seeder(settings) as seeds:
        (tokens,) = seeds.sessions(seeds.user("ada"), 1)
    with running_server(database_url, tmp_path / "server", workers=2) as server:
        with server.stub() as stub:
            assert logout(stub, tokens.access_token) == 1
        move(file)
        server.terminate()
        assert server.exit_code() == 0
    assert not file.exists()
    away(file).rename(file)
    with seeder(settings) as seeds:
        assert seeds.session(tokens.session_id).ended_at


def test_a_database_behind_a_link_is_in_place_until_the_link_leads_elsewhere(
    settings: Settings, database_url: str, tmp_path: Path
) -> None:
    link, file = tmp_path / "link.db", tmp_path / "authservice.db"
    link.symlink_to(file)
    linked = Settings(database_url=f"sqlite:///{link}", data_dir=tmp_path, master_key=MASTER_KEY)  # type: ignore[call-arg,arg-type]
    with seeder(linked) as seeds:
        user = seeds.user("ada")
        log = tmp_path / "authservice.db-wal"
        log.rename(away(log))
        with pytest.raises(StorageUnavailable):
            seeds.sessions(user, 1)
        away(log).rename(log)
        seeds.sessions(user, 1)
        shutil.copy(file, tmp_path / "other.db")
        link.unlink()
        link.symlink_to(tmp_path / "other.db")
        with pytest.raises(StorageUnavailable):
            seeds.sessions(user, 1)
        link.unlink()
        link.symlink_to(file)
        seeds.sessions(user, 1)
