"""The `authservice` command as an operator runs it: real databases, exit codes."""

import json
import os
from pathlib import Path

import pytest
from authclient.lint import read_roles

from authservice.storage import schema
from tests.cli.conftest import Run
from tests.conftest import MASTER_KEY
from tests.observed import PASSWORD


def test_an_operators_day_on_the_embedded_database(run: Run, tmp_path: Path) -> None:
    assert run("migrate").stdout == f"Migrated from nothing to {schema.newest()}.\n"
    assert run("migrate").stdout == f"Already at migration {schema.newest()}.\n"
    assert "Created user ada" in run("users", "create", "ada", "--password-stdin", stdin=PASSWORD + "\n").stdout
    listed = json.loads(run("users", "list", "--json").stdout)
    assert [(user["name"], user["roles"], user["live_sessions"]) for user in listed] == [("ada", [], 0)]
    assert run("users", "disable", "ADA").stdout == "Disabled user ADA; 0 live sessions ended.\n"
    assert json.loads(run("users", "list", "--json").stdout)[0]["disabled"]
    assert run("users", "enable", "ada").returncode == 0
    keys = json.loads(run("keys", "list", "--json").stdout)
    assert [key["state"] for key in keys] == ["active", "pending"]
    assert set(keys[0]) == {"key_id", "algorithm", "state", "created", "active_since", "retired_since"}
    assert run("keys", "rewrap").stdout == "Sealed 5 secrets under the newest master key.\n"
    assert run("doctor").returncode == 0
    assert (tmp_path / "data" / "master.key").stat().st_mode & 0o777 == 0o600
    for path in (tmp_path / "data").iterdir():
        assert path.stat().st_mode & 0o077 == 0, f"{path.name} can be read by others"


def test_roles_are_granted_revoked_listed_and_audited(run: Run) -> None:
    run("users", "create", "ada", "--password-stdin", stdin=PASSWORD + "\n")
    steps = [
        (("grant", "ADA", "support"), "User ADA now has the role support.\n", ["role_granted"]),
        (("grant", "ada", "support"), "User ada already had the role support.\n", []),
        (("grant", "ada", "a.b_c-9"), "User ada now has the role a.b_c-9.\n", ["role_granted"]),
        (("revoke", "ada", "support"), "User ada no longer has the role support.\n", ["role_taken"]),
        (("revoke", "ada", "support"), "User ada did not have the role support.\n", []),
    ]
    log = {"AUTHSERVICE_LOG_LEVEL": "info", "AUTHSERVICE_LOG_FORMAT": "json"}
    for arguments, said, audited in steps:
        done = run("users", *arguments, **log)
        assert (done.returncode, done.stdout) == (0, said), done
        events = [json.loads(line) for line in done.stderr.splitlines() if '"audit"' in line]
        assert [(event["audit"], event["role"]) for event in events if "role" in event] == [
            (event, arguments[2]) for event in audited
        ]
    assert json.loads(run("users", "list", "--json").stdout)[0]["roles"] == ["a.b_c-9"]


def test_a_role_that_nobody_else_has_is_pointed_out_and_roles_are_listed_for_the_lint(run: Run, tmp_path: Path) -> None:
    for name in ("ada", "bob"):
        run("users", "create", name, "--password-stdin", stdin=PASSWORD + "\n")
    assert "Nobody else has it.\n" in run("users", "grant", "ada", "clerk").stderr
    assert "Nobody else" not in run("users", "grant", "bob", "clerk").stderr
    assert "Nobody else has it. Roles that somebody has: clerk.\n" in run("users", "grant", "bob", "clrek").stderr
    listed = run("users", "roles").stdout
    assert listed == "clerk\nclrek\n"
    (tmp_path / "roles.txt").write_text(listed)
    assert read_roles([], tmp_path / "roles.txt") == ["clerk", "clrek"]
    assert json.loads(run("users", "roles", "--json").stdout) == [
        {"role": "clerk", "users": 2},
        {"role": "clrek", "users": 1},
    ]


def test_with_a_jwt_secret_no_key_is_called_active(run: Run) -> None:
    run("users", "create", "ada", "--password-stdin", stdin=PASSWORD + "\n")
    done = run("keys", "list", "--json", JWT_SECRET="a-secret-of-the-node-application-0123")
    assert {key["state"] for key in json.loads(done.stdout)} == {"unused"}
    assert "Tokens are signed with JWT_SECRET." in done.stderr


def test_in_a_pipe_each_row_is_one_line_without_padding_at_its_end(run: Run) -> None:
    lines = run("config").stdout.splitlines()
    assert len(lines) == len(json.loads(run("config", "--json").stdout)) + 1
    assert all(line == line.rstrip() for line in lines)


def test_completion_is_that_of_click(run: Run) -> None:
    assert "_AUTHSERVICE_COMPLETE=bash_complete" in run(_AUTHSERVICE_COMPLETE="bash_source").stdout


def test_dash_h_is_help_and_a_key_that_begins_with_a_dash_can_be_revoked(run: Run) -> None:
    assert "Usage: authservice keys revoke" in run("keys", "revoke", "-h").stdout
    run("users", "create", "ada", "--password-stdin", stdin=PASSWORD + "\n")
    for arguments in (("-h0", "--yes"), ("--yes", "--", "-h0")):
        assert "There is no key -h0." in run("keys", "revoke", *arguments).stderr


def test_refusals_say_what_is_wrong_and_end_with_a_code(run: Run) -> None:
    cases = [
        (("users", "create", "a b", "--password-stdin"), "short\n", 1, "user_name:"),
        (("users", "disable", "nobody"), "", 1, "no user nobody"),
        (("users", "grant", "nobody", "support"), "", 1, "no user nobody"),
        (("users", "grant", "nobody", "Support"), "", 1, "'Support' is no role name: it must be 1 to 64 characters"),
        (("users", "revoke", "nobody", "a b"), "", 1, "'a b' is no role name: it must be 1 to 64 characters"),
        (("users", "disable", "ada@example"), "", 1, "'ada@example' is no user name: it must not contain @"),
        (("users", "frobnicate"), "", 2, "No such command"),
        (("keys", "rotate"), "", 1, "Try again in"),
    ]
    for arguments, stdin, code, text in cases:
        done = run(*arguments, stdin=stdin)
        assert (done.returncode, done.stdout) == (code, ""), done
        assert text in done.stderr
        assert "Traceback" not in done.stderr


def test_wrong_settings_name_their_variable(run: Run) -> None:
    cases = [
        ({"JWT_SECRET": "short-canary"}, "JWT_SECRET: must have at least 32 bytes"),
        ({"AUTHSERVICE_PORT": "canary"}, "AUTHSERVICE_PORT:"),
        ({"AUTHSERVICE_INSECURE": "canary"}, "AUTHSERVICE_INSECURE:"),
        ({"AUTHSERVICE_HOST": "0.0.0.0"}, "--insecure"),
        ({"AUTHSERVICE_DATABASE_URL": "oracle://u:canary@h/d"}, "AUTHSERVICE_DATABASE_URL:"),
        ({"AUTHSERVICE_MASTER_KEY": "canary"}, "AUTHSERVICE_MASTER_KEY: each key must be base64 of 32 bytes"),
        ({"AUTHSERVICE_TLS_CERT_FILE": "x.pem"}, "go together"),
        ({"AUTHSERVICE_AUDIENCE": "x" * 200}, "AUTHSERVICE_AUDIENCE:"),
    ]
    for variables, text in cases:
        done = run("serve", **{"AUTHSERVICE_PORT": "0", **variables})
        assert done.returncode == 3, (variables, done)
        assert text in done.stderr
        assert "canary" not in done.stderr
        assert "Traceback" not in done.stderr


def test_config_lists_every_setting_with_its_source_and_hides_secrets(run: Run, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "DB_HOST=from-file\nDB_USER=file-user\nDB_PASSWORD=file-canary\nJWT_SECRET=jwt-canary-that-has-32-bytes-or-more\n"
    )
    done = run("config", "--json", DB_HOST="from-environment", AUTHSERVICE_MASTER_KEY=MASTER_KEY)
    rows = {row["variable"]: row for row in json.loads(done.stdout)}
    assert (rows["DB_HOST"]["value"], rows["DB_HOST"]["source"]) == ("from-environment", "environment")
    assert (rows["DB_USER"]["value"], rows["DB_USER"]["source"]) == ("file-user", ".env")
    assert (rows["DB_NAME"]["value"], rows["DB_NAME"]["source"]) == ("authservice", "default")
    assert rows["DB_PASSWORD"]["value"] == rows["JWT_SECRET"]["value"] == "**********"
    assert "canary" not in done.stdout
    assert MASTER_KEY not in done.stdout
    assert all(row["meaning"] for row in rows.values())
    assert len(rows) > 30


def test_a_database_address_is_shown_without_its_password(run: Run) -> None:
    done = run("config", "--json", AUTHSERVICE_DATABASE_URL="mysql://u:p%40ss-canary@h:3306/d")
    rows = {row["variable"]: row["value"] for row in json.loads(done.stdout)}
    assert rows["AUTHSERVICE_DATABASE_URL"] == "mysql://u:***@h:3306/d"
    assert "canary" not in done.stdout


def test_the_node_applications_variables_are_enough_for_mariadb(run: Run, mariadb_variables: dict[str, str]) -> None:
    variables = {**mariadb_variables, "JWT_SECRET": "a-secret-of-the-node-application-0123"}
    before = run("serve", "--port", "0", **variables)
    assert before.returncode == 3
    assert "authservice migrate" in before.stderr
    assert run("migrate", **variables).stdout == f"Migrated from nothing to {schema.newest()}.\n"
    created = run("users", "create", "ada", "--password-stdin", stdin=PASSWORD, **variables)
    assert created.returncode == 0, created
    done = run("doctor", "--json", **variables)
    assert done.returncode == 0, done
    outcomes = {row["check"]: row["outcome"] for row in json.loads(done.stdout)}
    assert outcomes["database"] == outcomes["migrations"] == outcomes["keys"] == outcomes["clock"] == "ok"
    assert variables["DB_PASSWORD"] not in done.stdout + done.stderr


def test_on_mariadb_nothing_is_sealed_by_a_secret_that_can_be_guessed(
    run: Run, mariadb_variables: dict[str, str]
) -> None:
    weak = {**mariadb_variables, "JWT_SECRET": "change-this-super-secret-jwt-key-in-production"}
    assert run("migrate", **weak).returncode == 0
    done = run("users", "list", **weak)
    assert (done.returncode, done.stdout) == (3, "")
    assert "JWT_SECRET: is the placeholder of an example." in done.stderr
    good = {**mariadb_variables, "JWT_SECRET": "a-secret-of-the-node-application-0123"}
    assert run("users", "list", **good).returncode == 0, "no other secret has sealed anything before"


def test_on_mariadb_a_master_key_must_be_configured(run: Run, mariadb_variables: dict[str, str]) -> None:
    assert run("migrate", **mariadb_variables).returncode == 0
    done = run("users", "list", **mariadb_variables)
    assert done.returncode == 3
    assert "openssl rand -base64 32" in done.stderr


def test_another_master_key_is_refused_with_the_way_back(run: Run) -> None:
    other = "b3RoZXItbWFzdGVyLWtleS1vZi0zMi1ieXRlcy0wMDA="
    run("users", "create", "ada", "--password-stdin", stdin=PASSWORD, AUTHSERVICE_MASTER_KEY=MASTER_KEY)
    done = run("users", "list", AUTHSERVICE_MASTER_KEY=other)
    assert done.returncode == 3
    assert "Put that key back" in done.stderr
    both = f"{other},{MASTER_KEY}"
    assert run("keys", "rewrap", AUTHSERVICE_MASTER_KEY=both).returncode == 0
    assert run("users", "list", AUTHSERVICE_MASTER_KEY=other).returncode == 0
    assert run("users", "list", AUTHSERVICE_MASTER_KEY=MASTER_KEY).returncode == 3


def test_doctor_says_how_calls_are_taken_and_when_that_is_not_the_best_way(
    run: Run, run_apart: Run, tmp_path: Path
) -> None:
    (tmp_path / "unfit").mkdir()
    unfit = "import grpc._server; grpc._server._status = lambda rpc_event, state: None"
    (tmp_path / "unfit" / "sitecustomize.py").write_text(unfit)  # Every Python process begins with it.
    run("migrate")

    def entrance(run: Run, **variables: str) -> tuple[str, str]:
        done = run("doctor", "--json", **variables)
        assert done.returncode == 0, done
        (row,) = [row for row in json.loads(done.stdout) if row["check"] == "entrance"]
        return row["outcome"], f"{row['finding']}: {row['what_to_do']}"

    usual, off = entrance(run), entrance(run, AUTHSERVICE_ENTRANCE="off")
    assert (usual[0], off[0]) == ("ok", "warning")
    assert "unset AUTHSERVICE_ENTRANCE" in off[1]
    outcome, text = entrance(run_apart, PYTHONPATH=str(tmp_path / "unfit"))
    assert outcome == "warning"
    assert "does not fit (grpc._server._status is not as expected)" in text
    assert "requirements/server.txt" in text


def test_a_database_that_does_not_answer_is_named(run: Run) -> None:
    away = {
        "DB_HOST": "127.0.0.1",
        "DB_PORT": "1",
        "DB_USER": "u",
        "DB_PASSWORD": "canary",
        "AUTHSERVICE_MASTER_KEY": MASTER_KEY,
    }
    assert run("users", "list", **away).returncode == 4
    done = run("doctor", **away)
    assert done.returncode == 1
    assert "start it, or correct its address" in " ".join(done.stdout.split())
    assert "canary" not in done.stdout + done.stderr


def test_d7_doctor_names_unsafe_database_settings_and_serve_refuses_broken_promises(
    run: Run, mariadb_variables: dict[str, str], request: pytest.FixtureRequest
) -> None:
    if os.environ.get("AUTHSERVICE_TEST_DATABASE_URL"):
        pytest.skip("needs a MariaDB server whose global settings may be changed")
    server = request.getfixturevalue("mariadb")
    variables = {**mariadb_variables, "AUTHSERVICE_MASTER_KEY": MASTER_KEY}
    run("migrate", **variables)
    unsafe = {
        "innodb_flush_log_at_trx_commit": ("0", "1", True),
        "sql_mode": ("''", "DEFAULT", False),
    }
    for name, (bad, good, breaks_promise) in unsafe.items():
        server.execute(f"SET GLOBAL {name} = {bad}")
        try:
            done = run("doctor", **variables)
            assert name in done.stdout
            assert done.returncode == (1 if breaks_promise else 0), done
            if breaks_promise:
                served = run("serve", "--port", "0", **variables)
                assert served.returncode == 3
                assert name in served.stderr
        finally:
            server.execute(f"SET GLOBAL {name} = {good}")
    folding = "VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci"
    server.execute(f"ALTER TABLE {variables['DB_NAME']}.users MODIFY name {folding}")
    done = run("doctor", **variables)
    assert done.returncode == 1
    assert "users.name is compared as utf8mb4_general_ci" in " ".join(done.stdout.split())
    assert "time zone is not UTC" in " ".join(done.stdout.split())


def test_a_backup_is_adopted_after_a_question_and_leaves_the_jwt_secret_to_its_owner(run: Run) -> None:
    run("migrate", JWT_SECRET="a secret for tests that is long enough")
    assert run("adopt-backup", stdin="n\n").stderr.endswith("Nothing was done.\n")
    done = run("adopt-backup", "--yes", JWT_SECRET="a secret for tests that is long enough")
    assert done.stdout == "0 sessions are ended, 0 signing keys replaced.\n"
    assert "set another secret" in done.stderr
    assert "users disable" in done.stderr


def test_help_tells_a_stranger_what_there_is(run: Run) -> None:
    root = run("--help").stdout
    for verb in ("serve", "migrate", "config", "users", "keys", "doctor", "Exit codes"):
        assert verb in root
    for arguments in (("serve",), ("migrate",), ("config",), ("users", "create"), ("keys", "rotate"), ("doctor",)):
        done = run(*arguments, "--help")
        assert done.returncode == 0
        assert len(done.stdout.splitlines()) > 5
