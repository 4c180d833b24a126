"""A server of the version before a migration, from the history, beside one of this: in every state of an upgrade."""

import io
import os
import subprocess
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import grpc
import pytest
from authapi.v1 import auth_service_pb2_grpc as rpc

from authservice.storage import schema
from authservice.storage.engine import open_engine
from tests.conftest import MASTER_KEY, migrate
from tests.faults.history import archive, commit_before
from tests.faults.processes import ServerProcess, wait_until
from tests.observed import Refusal, login, logout, refresh, refusal, register, verify

ENVIRONMENTS = Path(os.environ.get("AUTHSERVICE_TEST_VERSIONS", ""))
"""What `make upgrades` has installed: for each migration, what the server needed before it."""
MIGRATIONS = sorted(each.name for each in ENVIRONMENTS.iterdir() if each.is_dir())
SECONDS = 30
Stub = rpc.AuthServiceStub

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def before(migration: str, tmp_path: Path) -> Path:
    """Return a folder with the code as it was before a migration was written."""
    commit = commit_before(migration)
    assert commit, "conftest.py leaves these tests out where there is no history"
    with tarfile.open(fileobj=io.BytesIO(archive(commit))) as files:
        files.extractall(tmp_path / "before", filter="data")
    return tmp_path / "before"


@pytest.fixture
def url(backend: str, tmp_path: Path, new_mariadb_url: Callable[[], str]) -> str:
    """Return the address of an empty database."""
    return f"sqlite:///{tmp_path / 'authservice.db'}" if backend == "sqlite" else new_mariadb_url()


@contextmanager
def calling(stub: Stub) -> Iterator[tuple[list[str], list[str]]]:
    """Make all calls of an account one after the other inside the block; yield what was answered and what was not."""
    over = threading.Event()
    answered: list[str] = []
    wrong: list[str] = []

    def client() -> None:
        try:
            while not over.is_set():
                tokens = login(stub, "ada")
                for _ in range(3):
                    tokens = refresh(stub, tokens.refresh_token)
                    assert verify(stub, tokens.access_token).session_id == tokens.session_id
                assert logout(stub, tokens.access_token) == 1
                assert refusal(verify, stub, tokens.access_token).reason == "SESSION_ENDED"
                answered.append(tokens.session_id)
        except grpc.RpcError as error:
            wrong.append(f"{Refusal(error).reason} after {len(answered)}")
        except AssertionError as error:
            wrong.append(repr(error))

    thread = threading.Thread(target=client)
    thread.start()
    try:
        yield answered, wrong
    finally:
        over.set()
        thread.join()
    assert wrong == []


def revision(url: str) -> str | None:
    engine = open_engine(url, pool_size=1)
    try:
        return schema.current(engine)
    finally:
        engine.dispose()


@pytest.mark.parametrize("migration", MIGRATIONS)
def test_k6_a_server_of_the_version_before_serves_while_and_after_a_database_is_migrated_beside_one_of_this(
    migration: str, before: Path, url: str, tmp_path: Path
) -> None:
    path = f"PYTHONPATH={before}{os.pathsep}{before / 'clients/python'}"
    python = str((ENVIRONMENTS / migration / "bin/python").absolute())
    old = ServerProcess(url, tmp_path / "old", ["env", path], python)
    new = ServerProcess(url, tmp_path / "new")
    command = ["env", path, f"AUTHSERVICE_DATABASE_URL={url}", f"AUTHSERVICE_MASTER_KEY={MASTER_KEY}"]
    subprocess.run([*command, python, "-m", "authservice", "migrate"], check=True, cwd=tmp_path, timeout=60)
    assert (revision(url) or "") < migration
    with ExitStack() as stack:
        stack.callback(old.kill_all)
        stack.callback(new.kill_all)
        old.start()
        at_old = stack.enter_context(old.stub())
        register(at_old, "ada")
        opened = login(at_old, "ada")
        with calling(at_old) as (answered, wrong):
            wait_until(lambda: wrong or answered, SECONDS, "calls before the migration")
            migrate(url)
            assert revision(url) == schema.newest()
            been = len(answered)
            new.start()
            at_new = stack.enter_context(new.stub())
            wait_until(lambda: wrong or len(answered) > been + 1, SECONDS, "calls beside the new server")
            with calling(at_new) as (answered_new, wrong_new):
                wait_until(lambda: wrong_new or len(answered_new) > 1, SECONDS, "calls at the new server")
        _each_knows_the_other(at_old, at_new, opened.refresh_token)
        old.kill_all()
        old.start()
        new.kill_all()
        new.start()
        _each_knows_the_other(at_old, at_new, login(at_old, "ada").refresh_token)


def _each_knows_the_other(old: Stub, new: Stub, refresh_token: str) -> None:
    tokens = refresh(new, refresh_token)
    assert verify(new, tokens.access_token).session_id == tokens.session_id
    tokens = refresh(old, tokens.refresh_token)
    assert verify(old, tokens.access_token).session_id == tokens.session_id
    tokens = refresh(new, tokens.refresh_token)
    assert logout(new, tokens.access_token) == 1
    assert refusal(refresh, old, tokens.refresh_token).reason == "SESSION_ENDED"
    ended = login(old, "ada")
    assert logout(old, ended.access_token) == 1
    assert refusal(refresh, new, ended.refresh_token).reason == "SESSION_ENDED"
