"""Every setting, set to everything that it is not: one sentence, the right exit code, never a traceback."""

import contextlib
import json
import os
import tempfile
from pathlib import Path

import pytest

from authservice.cli.failures import FORESEEN
from authservice.config import ConfigError, Settings, load
from authservice.config.area import variable_of
from authservice.serving.port import reserve_port
from authservice.serving.preparation import prepare
from tests.cli.conftest import Run

VARIABLES = [variable_of(name, info) for name, info in Settings.model_fields.items()]
WORDS = ["x", " ", "-1", "0", "1e400", "nan", "é" * 30, "\udcff", "a\nb", "../..", "[]", "{}", "true", "x" * 5000]
PLACES = ["/no/x", "{file}", "{folder}", "{bytes}", "{empty}", "{file}/x", "::1", "999.1.1.1", "a" * 70 + ".b", "h:80"]
ADDRESSES = [
    *("sqlite:///{folder}", "sqlite:///{bytes}", "sqlite:////no/x.db", "sqlite:///{file}/x.db", "sqlite://host/x"),
    *("sqlite+no:///x", "mysql://127.0.0.1:1", "mysql://u:p@127.0.0.1:port/d", "mysql://u@127.0.0.1:1/d?no=1"),
    *("mysql://u@[::1:1/d", "mysql://u@127.0.0.1:1/d?connect_timeout=no", "mysql://u@127.0.0.1:99999/d"),
]
NAMED_BY_TEXT = ["DB_USER", "DB_PASSWORD", "DB_NAME", "DB_HOST", "JWT_SECRET", "AUTHSERVICE_DATA_DIR"]
SERVER = {"DB_HOST": "127.0.0.1", "DB_PORT": "1", "DB_USER": "u"}
TLS = {"AUTHSERVICE_TLS_CERT_FILE": "{file}", "AUTHSERVICE_TLS_KEY_FILE": "{file}"}
BESIDE = {
    "AUTHSERVICE_HOST": {"AUTHSERVICE_INSECURE": "1"},
    "AUTHSERVICE_DATABASE_CA_FILE": {"AUTHSERVICE_DATABASE_URL": "mysql://u@127.0.0.1:1/d"},
    **dict.fromkeys(("DB_HOST", "DB_PORT", "DB_USER", "DB_PASSWORD", "DB_NAME"), SERVER),
    **dict.fromkeys((*TLS, "AUTHSERVICE_TLS_CLIENT_CA_FILE"), TLS),
}
"""What has to be set for a setting to matter."""
OF_TEXT = [
    *NAMED_BY_TEXT,
    *("AUTHSERVICE_DATABASE_URL", "AUTHSERVICE_DATABASE_CA_FILE", "AUTHSERVICE_MASTER_KEY"),
    *("AUTHSERVICE_MASTER_KEY_FILE", "AUTHSERVICE_HOST", "AUTHSERVICE_ISSUER", "AUTHSERVICE_TLS_CERT_FILE"),
]
"""Those that take nearly any text, so that what is wrong with it comes out in a command."""


@pytest.fixture
def places(tmp_path: Path) -> dict[str, str]:
    """Return the paths of things that are not what was meant."""
    folder = tmp_path / "things"
    folder.mkdir()
    (folder / "folder").mkdir()
    (folder / "file").write_text("text")
    (folder / "bytes").write_bytes(bytes(range(256)) * 8)
    (folder / "empty").write_text("")
    return {path.name: str(path) for path in folder.iterdir()}


def filled(text: str, places: dict[str, str]) -> str:
    for name, path in places.items():
        text = text.replace(f"{{{name}}}", path)
    return text


@pytest.mark.parametrize("variable", VARIABLES)
def test_whatever_a_setting_is_set_to_is_taken_or_refused_by_its_name(
    variable: str, places: dict[str, str], in_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in BESIDE.get(variable, {}).items():
        monkeypatch.setenv(name, filled(value, places))
    for kind in (*WORDS, *PLACES, *ADDRESSES):
        monkeypatch.setenv(variable, filled(kind, places))
        said = refusal()
        assert said is None or (variable in said and len(said.splitlines()) == 1), (kind, said)


@pytest.mark.parametrize("variable", OF_TEXT)
def test_no_command_fails_on_a_setting_otherwise_than_in_a_sentence(
    run: Run, variable: str, places: dict[str, str], in_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside = {name: filled(value, places) for name, value in BESIDE.get(variable, {}).items()}
    kinds = {
        "AUTHSERVICE_DATABASE_URL": ADDRESSES,
        "DB_HOST": [*WORDS[:3], *PLACES[-4:], "host.invalid"],
        "AUTHSERVICE_HOST": [*WORDS[:3], *PLACES[-4:], "host.invalid"],
    }.get(variable, [*WORDS[-8:], *PLACES[:6]])
    for number, kind in enumerate(kinds):
        place = in_folder / str(number)
        place.mkdir()
        monkeypatch.chdir(place)
        variables = {**beside, variable: filled(kind, places)}
        if "\udcff" in kind:
            continue
        for verb in (("migrate",), ("keys", "list"), ("config",)):
            done = run(*verb, **variables)
            assert done.returncode in (0, 3, 4), (variables, done)
            assert done.returncode == 0 or done.stderr.strip(), (variables, done)
        start(variables)


def refusal() -> str | None:
    try:
        load()
    except ConfigError as refused:
        return str(refused)
    return None


def start(variables: dict[str, str]) -> None:
    """Do what `serve` does before it forks."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        with contextlib.suppress(*FORESEEN):
            settings = load(port=0)
            reserve_port(settings.host, settings.port).close()
            prepare(settings)


@pytest.mark.parametrize("variables", [{"AUTHSERVICE_DATA_DIR": "{file}"}, {"AUTHSERVICE_DATABASE_URL": "mysql://["}])
def test_doctor_lists_what_it_cannot_go_beyond(run: Run, places: dict[str, str], variables: dict[str, str]) -> None:
    done = run("doctor", "--json", **{name: filled(value, places) for name, value in variables.items()})
    assert done.returncode == 1
    assert '"outcome": "failed"' in done.stdout


def test_a_tls_file_that_is_missing_is_named(run: Run, in_folder: Path) -> None:
    done = run("doctor", "--json", AUTHSERVICE_TLS_CERT_FILE="none.crt", AUTHSERVICE_TLS_KEY_FILE="none.key")
    assert "No such file or directory: 'none.crt'" in done.stdout


def test_doctor_does_not_advise_to_migrate_where_nobody_could(run: Run, places: dict[str, str]) -> None:
    done = run("doctor", "--json", AUTHSERVICE_DATA_DIR=places["file"])
    assert "authservice migrate" not in done.stdout
    assert f"move {places['file']} away, which is no folder, or set AUTHSERVICE_DATA_DIR to one" in done.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody who may not write")
def test_doctor_does_not_advise_to_migrate_in_a_folder_that_cannot_be_written(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("doctor")  # Imports what nobody else may read.
    monkeypatch.chdir("/")
    os.seteuid(65534)
    try:
        done = run("doctor", "--json", AUTHSERVICE_DATA_DIR="/usr/share")
    finally:
        os.seteuid(0)
    assert "let this user write /usr/share, or set AUTHSERVICE_DATA_DIR" in done.stdout


@pytest.mark.parametrize("variable", ["AUTHSERVICE_MASTER_KEY_FILE", "JWT_SECRET_FILE"])
@pytest.mark.parametrize("cause", ["its folder", "the file", "its name"])
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody who may not read")
def test_doctor_advises_to_correct_a_variable_only_where_that_is_the_cause(
    run: Run, monkeypatch: pytest.MonkeyPatch, variable: str, cause: str
) -> None:
    run("doctor")  # Imports what nobody else may read.
    # Not below the folder of the test, which is its user's alone.
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        path = Path(name) / "secret"
        Path(name).chmod(0o700 if cause == "its folder" else 0o755)
        if cause != "its name":
            path.touch(0o600)
        monkeypatch.chdir("/")
        os.seteuid(65534)
        try:
            done = run("doctor", "--json", AUTHSERVICE_PORT="0", **{variable: str(path)})
        finally:
            os.seteuid(0)
    [row] = [row for row in json.loads(done.stdout) if row["check"] == "settings" and row["outcome"] == "failed"]
    assert (
        row["what_to_do"]
        == {
            "its folder": f"let this user look into {name}",
            "the file": "let this user read it",
            "its name": "correct the variable",
        }[cause]
    )
    assert row["finding"].startswith(f"{variable}: cannot read {path}: ")


def test_doctor_advises_on_the_file_env_and_not_on_its_variables(run: Run, in_folder: Path) -> None:
    (in_folder / ".env").write_bytes("AUTHSERVICE_PORT=0".encode("utf-16"))
    [row] = json.loads(run("doctor", "--json").stdout)
    assert (row["finding"], row["what_to_do"]) == (".env: is not UTF-8 text.", "save it as UTF-8")
