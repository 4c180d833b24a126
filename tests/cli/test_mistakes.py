"""What an operator gets wrong: the command says so, what to do, and leaves everything as it was."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
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

VERBS_THAT_MAKE = (("serve",), ("migrate",), ("users", "create", "ada", "--password-stdin"))


@pytest.mark.parametrize("verb", READING_AND_CHANGING, ids=" ".join)
def test_no_verb_that_reads_or_changes_makes_a_database(in_folder: Path, verb: tuple[str, ...]) -> None:
    done = CliRunner().invoke(command, verb, input="token\n")
    assert isinstance(done.exception, ConfigError)
    assert str(done.exception).startswith(f"There is no database {in_folder}/data/authservice.db.")
    assert list(in_folder.iterdir()) == []


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


@pytest.mark.parametrize("verb", [verb for verb in VERBS_THAT_MAKE if verb != ("migrate",)], ids=" ".join)
def test_no_verb_serves_or_seals_with_a_secret_that_can_be_guessed(
    in_folder: Path, monkeypatch: pytest.MonkeyPatch, verb: tuple[str, ...]
) -> None:
    for secret in ("a" * 32, "change-this-super-secret-jwt-key-in-production"):
        monkeypatch.setenv("JWT_SECRET", secret)
        done = CliRunner().invoke(command, verb, input=PASSWORD)
        assert isinstance(done.exception, ConfigError)
        said = str(done.exception)
        assert said.startswith("JWT_SECRET: is ")
        assert "`openssl rand -base64 48`" in said
        assert secret not in said
        assert "\n" not in said
    assert list(in_folder.iterdir()) == []


def test_a_secret_that_can_be_guessed_ends_a_start_with_3_and_does_not_bar_the_way_out(run: Run) -> None:
    weak = {"JWT_SECRET": "abcabcabcabcabcabcabcabcabcabcabc"}
    done = run("serve", "--port", "0", **weak)
    assert (done.returncode, done.stdout) == (3, "")
    assert "JWT_SECRET: is too easy to guess." in done.stderr
    run("migrate", JWT_SECRET="a secret for tests that is long enough")
    assert run("keys", "rewrap", **weak).returncode == 0
    done = run("doctor", "--json", **weak)
    assert done.returncode == 1
    row = {row["check"]: row for row in json.loads(done.stdout)}["keys"]
    assert (row["outcome"], row["finding"]) == ("failed", "JWT_SECRET: is too easy to guess")


def test_creating_a_user_makes_the_database_and_says_where(run: Run, tmp_path: Path) -> None:
    create = ("users", "create", "ada", "--password-stdin")
    assert f"Making the new database {tmp_path}/data/authservice.db." in run(*create, stdin=PASSWORD).stderr
    again = run(*create, stdin=PASSWORD)
    assert again.returncode == 1, "the name is taken"
    assert "Making" not in again.stderr


def test_a_misspelt_setting_is_named_with_the_one_that_was_meant(run: Run, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("AUTHSERVICE_AUDIENZ=canary\n")
    (tmp_path / ".env").chmod(0o600)
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
    served = run(
        "serve", "--port", "0", **misspelt, AUTHSERVICE_TLS_CERT_FILE="none.pem", AUTHSERVICE_TLS_KEY_FILE="none.pem"
    )
    assert served.returncode == 3
    logged = [json.loads(line) for line in served.stderr.splitlines() if line.startswith("{")]
    assert {line["what"]: line["remedy"] for line in logged if line["event"] == "unknown_setting"} == says
    refused = run("users", "list", **misspelt, AUTHSERVICE_TLS_CERT_FILE="none.pem")
    assert refused.returncode == 3
    assert "AUTHSERVICE_PROT is no setting" in refused.stderr, "it may be the cause"
    for done in (listed, checked, served, refused):
        assert "canary" not in done.stdout + done.stderr


def test_a_slip_in_where_the_database_is_makes_none(run: Run, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DB_HOTS=db1\nDB_USER=u\nDB_PASSWORD=canary\nDB_NAME=n\n")
    for verb in VERBS_THAT_MAKE:
        done = run(*verb, stdin=PASSWORD)
        assert (done.returncode, done.stdout) == (3, "")
        assert "DB_HOST must be set where DB_NAME, DB_PASSWORD and DB_USER are." in done.stderr
        assert "DB_HOTS is no setting and is ignored; did you mean DB_HOST?" in done.stderr
        assert "canary" not in done.stderr
    (tmp_path / ".env").write_text("AUTHSERVICE_DATABASE_URI=mysql://u:canary@db1/n\n")
    for verb in VERBS_THAT_MAKE:
        done = run(*verb, stdin=PASSWORD)
        assert (done.returncode, done.stdout) == (3, "")
        assert done.stderr.endswith(f"So the new database {tmp_path}/data/authservice.db is not made.\n")
        assert "did you mean AUTHSERVICE_DATABASE_URL?" in done.stderr
        assert "canary" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == [".env"]


def test_migrate_and_serve_say_which_database_they_mean(
    run: Run, tmp_path: Path, mariadb_variables: dict[str, str]
) -> None:
    assert run("migrate").stderr == f"Database: {tmp_path}/data/authservice.db\n"
    place = "mysql://{DB_USER}:***@{DB_HOST}:{DB_PORT}/{DB_NAME}".format(**mariadb_variables)
    away = {**mariadb_variables, "AUTHSERVICE_MASTER_KEY": MASTER_KEY, "AUTHSERVICE_DATA_DIR": "elsewhere"}
    served = run("serve", "--port", "0", **away)
    assert served.returncode == 3, "not migrated"
    logged = [json.loads(line) for line in served.stderr.splitlines() if line.startswith("{")]
    assert [(line["place"], line["is_new"]) for line in logged if line["event"] == "database"] == [(place, False)]
    assert run("migrate", **away).stderr == f"Database: {place}\n"
    assert not (tmp_path / "elsewhere").exists(), "nothing of a shared database lies there"


def test_no_master_key_is_made_beside_a_database_that_another_one_has_sealed(run: Run, tmp_path: Path) -> None:
    run("users", "create", "ada", "--password-stdin", stdin=PASSWORD)
    key = tmp_path / "data" / "master.key"
    elsewhere = key.rename(tmp_path / "elsewhere.key")
    for variables in ({}, {"JWT_SECRET": "a-secret-of-the-node-application-0123"}):
        for verb in (("keys", "list"), ("users", "create", "bob", "--password-stdin")):
            done = run(*verb, stdin=PASSWORD, **variables)
            assert (done.returncode, done.stdout) == (3, "")
            assert not key.exists()
    assert f"the master key is not in {key}. Put that file back" in run("keys", "list").stderr
    assert run("keys", "list", AUTHSERVICE_MASTER_KEY_FILE=str(elsewhere)).returncode == 0


def test_doctor_and_serve_warn_of_files_that_others_may_read(run: Run, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("AUTHSERVICE_LOG_LEVEL=info\n")
    run("migrate")
    run("keys", "list")
    for path in (tmp_path / ".env", tmp_path / "data" / "master.key"):
        path.chmod(0o666)
    remedies = ["chmod go-rw .env", "chmod go-rw data/master.key"]
    rows = json.loads(run("doctor", "--json", AUTHSERVICE_PORT="0").stdout)
    assert [row["what_to_do"] for row in rows if (row["check"], row["outcome"]) == ("files", "warning")] == remedies
    served = run("serve", "--port", "0", AUTHSERVICE_TLS_CERT_FILE="none.pem", AUTHSERVICE_TLS_KEY_FILE="none.pem")
    logged = [json.loads(line) for line in served.stderr.splitlines() if line.startswith("{")]
    assert [line["remedy"] for line in logged if line["event"] == "exposed_file"] == remedies


def test_a_line_of_dotenv_that_cannot_be_read_is_named_once(run: Run, run_apart: Run, tmp_path: Path) -> None:
    run("migrate")
    (tmp_path / ".env").write_text("\n\nDB_PASSWORD 'canary'\n")
    done = run_apart("users", "list")
    said = [line for line in done.stderr.splitlines() if not line.startswith("{")]
    assert said == [".env line 3 cannot be read and is ignored; write it as NAME=value"]


def test_ctrl_c_during_the_start_is_one_line_and_130(tmp_path: Path) -> None:
    for verb in (("serve", "--port", "0"), ("users", "list")):
        command = [sys.executable, "-X", "importtime", "-m", "authservice", *verb]
        with subprocess.Popen(
            command, stderr=subprocess.PIPE, text=True, cwd=tmp_path, process_group=0, env={}
        ) as started:
            assert started.stderr
            while "click" not in started.stderr.readline():  # Most of the imports are still to come.
                assert started.poll() is None
            os.killpg(started.pid, signal.SIGINT)
            said = [line for line in started.stderr if not line.startswith("import time:")]
        assert (started.returncode, said) == (130, ["Interrupted.\n"])


def test_a_start_on_a_taken_port_leaves_nothing_behind(run: Run, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        done = run("serve", "--port", str(other.getsockname()[1]))
    assert (done.returncode, done.stdout) == (1, "")
    assert "Cannot listen on 127.0.0.1:" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_unusable_master_key_is_no_readable_setting_and_no_reason_to_make_a_database(
    run: Run, tmp_path: Path
) -> None:
    unusable = {"AUTHSERVICE_MASTER_KEY": "canary", "AUTHSERVICE_PORT": "0"}
    for verb in (("serve",), ("users", "create", "ada", "--password-stdin")):
        assert run(*verb, stdin=PASSWORD, **unusable).returncode == 3
        assert list(tmp_path.iterdir()) == []
    run("migrate")
    done = run("doctor", "--json", **unusable)
    failed = [(row["check"], row["finding"]) for row in json.loads(done.stdout) if row["outcome"] != "ok"]
    [(check, finding)] = failed
    assert (done.returncode, check) == (1, "settings")
    assert finding.startswith("AUTHSERVICE_MASTER_KEY: each key must be base64 of 32 bytes.")
    assert "canary" not in done.stdout


def test_a_reader_that_has_seen_enough_is_no_fault(run: Run, tmp_path: Path) -> None:
    run("migrate")
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "authservice", "config"],
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (1, "")


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
    doctor = run("doctor", "--json", **variables)
    row = {row["check"]: row for row in json.loads(doctor.stdout)}["database"]
    assert row["outcome"] == "failed"
    assert says in f"{row['finding']} {row['what_to_do'][0].upper()}{row['what_to_do'][1:]}"
    assert variables["DB_PASSWORD"] not in doctor.stdout
