"""Files with secrets that others may read or replace."""

import os
from pathlib import Path

import pytest

from authservice.config import Exposure, exposures, load


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def files(folder: Path, mode: int) -> list[Path]:
    paths = [Path(".env"), Path("keys"), Path("tls.key"), Path("auth.db")]
    for path in paths:
        path.touch()
        path.chmod(mode)
    return paths


def found() -> list[Exposure]:
    tls = {"tls_cert_file": "tls.crt", "tls_key_file": "tls.key"}
    return exposures(load(database_url="sqlite:///auth.db", master_key_file="keys", **tls))


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_what_is_its_owners_alone_is_well(folder: Path, mode: int) -> None:
    files(folder, mode)
    assert found() == []


@pytest.mark.parametrize(
    ("mode", "may", "remedy"),
    [
        (0o666, "read and replace", "go-rw"),
        (0o644, "read", "go-r"),
        (0o640, "read", "go-r"),
        (0o620, "replace", "go-w"),
        (0o602, "replace", "go-w"),
    ],
)
def test_whatever_others_may_do_with_a_file_is_named_with_the_way_back(
    folder: Path, mode: int, may: str, remedy: str
) -> None:
    paths = files(folder, mode)
    shown = [path.absolute() if path.name == "auth.db" else path for path in paths]
    assert [each.what for each in found()] == [
        f"{path} has the mode {mode:04o}: others may {may} what is in it" for path in shown
    ]
    assert [each.remedy for each in found()] == [f"chmod {remedy} {path}" for path in shown]


def test_the_generated_master_key_is_looked_at(folder: Path) -> None:
    (folder / "data").mkdir()
    (folder / "data" / "master.key").touch(0o666)
    (folder / "data" / "master.key").chmod(0o666)
    assert [each.remedy for each in exposures(load())] == ["chmod go-rw data/master.key"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_owner_may_be_readable_by_a_group(folder: Path) -> None:
    for path in files(folder, 0o440):
        os.chown(path, 65534, -1)
    assert found() == []


@pytest.mark.parametrize("setting", ["db_password_file", "jwt_secret_file", "database_url_file"])
def test_files_with_secrets_are_looked_at(folder: Path, setting: str) -> None:
    (folder / "secret").write_text("mysql://a-secret-of-at-least-32-bytes@db1/name")
    (folder / "secret").chmod(0o644)
    server = {} if setting == "database_url_file" else {"db_host": "db1", "db_user": "ada"}
    assert [each.remedy for each in exposures(load(**server, **{setting: "secret"}))] == ["chmod go-r secret"]


def test_the_mode_of_what_is_mounted_to_be_read_alone_is_nobodys_fault(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files(folder, 0o644)
    mounted = os.statvfs(folder)
    # Mounting takes root and touches the machine, so the answer of the kernel stands here.
    monkeypatch.setattr(os, "statvfs", lambda _: os.statvfs_result((*mounted[:8], mounted.f_flag | os.ST_RDONLY, 255)))
    assert found() == []
