"""Secrets from files, as containers mount them."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from authservice import config
from authservice.config import ConfigError, load, origins, strays
from tests.conftest import MASTER_KEY

SECRETS = {
    "DB_PASSWORD": "pa${ss}w#rd",
    "JWT_SECRET": "a-secret-of-the-node-application-0123",
    "AUTHSERVICE_DATABASE_URL": "mysql://user:canary@db1/name",
    "AUTHSERVICE_MASTER_KEY": MASTER_KEY,
    "AUTHSERVICE_SMTP_PASSWORD": "sm${tp}w#rd",
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run in an empty folder, so that only a test's own .env file is read."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DB_HOST", "db1")
    monkeypatch.setenv("DB_USER", "ada")
    return tmp_path


def refusal() -> str:
    with pytest.raises(ConfigError) as refused:
        load().master_keys()
    return str(refused.value)


def test_every_secret_may_come_from_a_file() -> None:
    secrets = {
        row.variable
        for row, info in zip(origins(load()), config.Settings.model_fields.values(), strict=True)
        if "SecretStr" in str(info.annotation)
    }
    assert secrets == set(SECRETS)
    assert {f"{variable}_FILE" for variable in secrets} <= {row.variable for row in origins(load())}


@pytest.mark.parametrize("variable", SECRETS)
@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n"], ids=repr)
@pytest.mark.parametrize("is_in_dotenv", [False, True])
def test_a_secret_of_a_file_counts_as_if_it_stood_in_the_variable(
    variable: str, end: str, is_in_dotenv: bool, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, SECRETS[variable])
    expected = load()
    monkeypatch.delenv(variable)
    path = folder / "secret"
    path.write_bytes((SECRETS[variable] + end).encode())
    if is_in_dotenv:
        (folder / ".env").write_text(f"{variable}_FILE={path}\n")
    else:
        monkeypatch.setenv(f"{variable}_FILE", str(path))
    settings = load()
    assert settings.master_keys() == expected.master_keys()
    for name in ("db_password", "jwt_secret", "database_url", "smtp_password"):
        assert getattr(settings, name) == getattr(expected, name)
    if variable != "AUTHSERVICE_MASTER_KEY":
        assert next(row for row in origins(settings) if row.variable == variable).source == f"{variable}_FILE"
    assert strays() == []
    assert "canary" not in f"{settings!r} {origins(settings)}"


def test_only_the_end_of_the_last_line_is_taken_off(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "secret").write_bytes(b"\xef\xbb\xbf two words \n")
    monkeypatch.setenv("DB_PASSWORD_FILE", "secret")
    assert load().db_password == SecretStr(" two words ")


@pytest.mark.parametrize("variable", SECRETS)
def test_a_secret_in_two_places_is_refused(variable: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "secret").write_text(SECRETS[variable])
    monkeypatch.setenv(f"{variable}_FILE", "secret")
    (folder / ".env").write_text(f"{variable}='{SECRETS[variable]}'\n")
    says = f"{variable} and {variable}_FILE are both set, and only one can count. Unset the other."
    assert refusal() == says
    (folder / ".env").unlink()
    monkeypatch.setenv(variable, SECRETS[variable])
    assert refusal() == says
    monkeypatch.setenv(variable, "")
    load()


@pytest.mark.parametrize("variable", SECRETS)
@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "cannot read secret: No such file or directory"),
        ("folder", "cannot read secret: Is a directory"),
        (b"", "secret is empty"),
        (b"\n", "secret is empty"),
        (b"\xffcanary", ""),
        (b"can\0ary", ""),
        (b"canary" * 20_000, ""),
    ],
    ids=["none", "folder", "empty", "empty line", "Latin-1", "NUL", "long"],
)
def test_a_file_that_holds_no_secret_is_refused_in_one_line_without_what_it_holds(
    variable: str, content: bytes | str | None, says: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if content == "folder":
        (folder / "secret").mkdir()
    elif isinstance(content, bytes):
        (folder / "secret").write_bytes(content)
    monkeypatch.setenv(f"{variable}_FILE", "secret")
    said = refusal()
    assert said.startswith(f"{variable}_FILE: ")
    assert says in said
    assert len(said.splitlines()) == 1
    assert "canary" not in said


def test_a_file_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PASSWORD_FILE", "/dev/zero")
    assert refusal().startswith("DB_PASSWORD_FILE: /dev/zero has more than")


def test_what_is_wrong_with_a_secret_names_the_variable_that_was_set(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "secret").write_text("short\n")
    monkeypatch.setenv("JWT_SECRET_FILE", "secret")
    assert refusal().startswith("JWT_SECRET_FILE: must have at least 32 bytes")
    monkeypatch.delenv("JWT_SECRET_FILE")
    monkeypatch.delenv("DB_HOST")
    monkeypatch.delenv("DB_USER")
    monkeypatch.setenv("DB_PASSWORD_FILE", "secret")
    assert refusal().startswith("DB_HOST must be set where DB_PASSWORD_FILE is.")
