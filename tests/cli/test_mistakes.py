"""What an operator gets wrong: the command says so, what to do, and leaves everything as it was."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from click.testing import CliRunner

import authservice
from authservice.cli.root import command
from authservice.config import ConfigError
from tests.cli.conftest import Run
from tests.conftest import MASTER_KEY
from tests.observed import PASSWORD

READING_AND_CHANGING = (
    ("users", "list"),
    ("users", "disable", "ada"),
    ("users", "enable", "ada"),
    ("users", "grant", "ada", "support"),
    ("users", "revoke", "ada", "support"),
    ("keys", "list"),
    ("keys", "rotate"),
    ("keys", "revoke", "kid", "--yes"),
    ("keys", "rewrap"),
    ("explain",),
)


@pytest.fixture
def in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Yield the folder that this process is in. The command sets up the logs as a process would; they are put back."""
    monkeypatch.chdir(tmp_path)
    before = structlog.get_config()
    yield tmp_path
    structlog.configure(**before)


@pytest.mark.parametrize("verb", READING_AND_CHANGING, ids=" ".join)
def test_no_verb_that_reads_or_changes_makes_a_database(in_empty_folder: Path, verb: tuple[str, ...]) -> None:
    done = CliRunner().invoke(command, verb, input="token\n")
    assert isinstance(done.exception, ConfigError)
    assert str(done.exception).startswith(f"There is no database {in_empty_folder}/data/authservice.db.")
    assert list(in_empty_folder.iterdir()) == []


def test_in_the_wrong_folder_the_missing_file_is_named_with_what_to_do(run: Run, tmp_path: Path) -> None:
    remedy = "run this in the folder of `serve`, or set AUTHSERVICE_DATA_DIR or AUTHSERVICE_DATABASE_URL as there"
    done = run("users", "list", AUTHSERVICE_DATABASE_URL="sqlite:///elsewhere/auth.db")
    assert (done.returncode, done.stdout) == (3, "")
    assert f"There is no database {tmp_path}/elsewhere/auth.db. To do: {remedy};" in done.stderr
    done = run("doctor", "--json")
    assert done.returncode == 1
    row = {row["check"]: row for row in json.loads(done.stdout)}["database"]
    assert (row["outcome"], row["finding"]) == ("failed", f"there is no file {tmp_path}/data/authservice.db")
    assert remedy in row["what_to_do"]
    assert list(tmp_path.iterdir()) == []


def test_creating_a_user_makes_the_database_and_says_where(run: Run, tmp_path: Path) -> None:
    create = ("users", "create", "ada", "--password-stdin")
    assert f"Making the new database {tmp_path}/data/authservice.db." in run(*create, stdin=PASSWORD).stderr
    again = run(*create, stdin=PASSWORD)
    assert again.returncode == 1, "the name is taken"
    assert "Making" not in again.stderr


def test_a_misspelt_setting_is_named_with_the_one_that_was_meant(run: Run, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("AUTHSERVICE_AUDIENZ=canary\n")
    misspelt = {"AUTHSERVICE_PROT": "canary", "AUTHSERVICE_LOG_LEVEL": "warning"}
    says = {
        "AUTHSERVICE_AUDIENZ is no setting and is ignored": "did you mean AUTHSERVICE_AUDIENCE?",
        "AUTHSERVICE_PROT is no setting and is ignored": "did you mean AUTHSERVICE_PORT?",
    }
    listed = run("config", "--json", **misspelt)
    assert listed.returncode == 0
    assert listed.stderr.splitlines() == [f"{what}; {remedy}" for what, remedy in says.items()]
    run("migrate", **misspelt)
    # Something may listen on the usual port.
    checked = run("doctor", "--json", **misspelt, AUTHSERVICE_PORT="0")
    assert checked.returncode == 0, "a warning"
    warnings = [row for row in json.loads(checked.stdout) if row["outcome"] == "warning"]
    assert {row["finding"]: row["what_to_do"] for row in warnings} == says
    served = run("serve", **misspelt, AUTHSERVICE_TLS_CERT_FILE="none.pem", AUTHSERVICE_TLS_KEY_FILE="none.pem")
    assert served.returncode == 3
    logged = [json.loads(line) for line in served.stderr.splitlines() if line.startswith("{")]
    assert {line["what"]: line["remedy"] for line in logged if line["event"] == "unknown_setting"} == says
    refused = run("users", "list", **misspelt, AUTHSERVICE_TLS_CERT_FILE="none.pem")
    assert refused.returncode == 3
    assert "AUTHSERVICE_PROT is no setting" in refused.stderr, "it may be the cause"
    for done in (listed, checked, served, refused):
        assert "canary" not in done.stdout + done.stderr


def test_without_its_dependencies_the_command_says_how_to_install_them(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-S", "-m", "authservice", "serve"],  # -S: nothing that is installed can be imported
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=tmp_path,
        env={"PYTHONPATH": str(Path(str(authservice.__file__)).parents[1])},
    )
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == (
        "The server is not installed. Install it with the `server` extra: pip install '/path/to/authservice[server]'\n"
    )


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"DB_PASSWORD": "password-canary"}, "refuses the user or the password. Correct DB_USER and DB_PASSWORD"),
        ({"DB_NAME": "no_such_database"}, "has no database of this name. Create it"),
    ],
)
def test_a_database_that_refuses_the_settings_is_not_said_to_be_silent(
    run: Run, mariadb_variables: dict[str, str], wrong: dict[str, str], says: str
) -> None:
    variables = {**mariadb_variables, "AUTHSERVICE_MASTER_KEY": MASTER_KEY, **wrong}
    done = run("users", "list", **variables)
    assert (done.returncode, done.stdout) == (3, "")
    assert says in done.stderr
    assert variables["DB_PASSWORD"] not in done.stderr
