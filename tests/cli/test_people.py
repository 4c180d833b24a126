"""`authservice users show`, `export` and `delete`: what is held about one person, and that it goes."""

import json
import re
from pathlib import Path

import pytest

from authservice import bootstrap
from authservice.config import Settings
from tests.cli.conftest import Run
from tests.conftest import CHEAPEST
from tests.faults.seeding import Seeder

AUDITED = {"AUTHSERVICE_LOG_LEVEL": "info", "AUTHSERVICE_LOG_FORMAT": "json"}


@pytest.fixture
def ada(run: Run, tmp_path: Path) -> str:
    """Return the id of Ada, who has two sessions."""
    assert run("migrate").returncode == 0
    service = bootstrap.assemble(Settings(data_dir=tmp_path / "data"), hash_cost=CHEAPEST)  # type: ignore[call-arg]
    seeds = Seeder(service)
    user = seeds.user("Ada")
    seeds.sessions(user, 2)
    service.close()
    return str(user.id)


def shown(run: Run) -> dict[str, object]:
    (row,) = json.loads(run("users", "show", "ada", "--json").stdout)
    assert isinstance(row, dict)
    return row


def audited(stderr: str) -> list[tuple[str, bool]]:
    lines = [json.loads(line) for line in stderr.splitlines() if '"audit"' in line]
    return [(line["audit"], line["by_operator"]) for line in lines if "by_operator" in line]


def test_an_account_is_shown_as_a_table_and_as_json(run: Run, ada: str) -> None:
    assert shown(run) | {"created": ""} == {
        "name": "Ada",
        "id": ada,
        "email": None,
        "display_name": None,
        "locale": None,
        "roles": [],
        "created": "",
        "disabled": None,
        "to_be_erased": None,
        "email_confirmed": None,
        "one-time_password_until": None,
        "authenticator_app": None,
        "passkeys": 0,
        "recovery_codes_left": 0,
        "live_sessions": 2,
    }
    assert re.search(rf"^id +{ada}$", run("users", "show", "ADA").stdout, re.MULTILINE)


def test_l6_an_export_is_what_its_owner_would_get(run: Run, ada: str) -> None:
    answer = run("users", "export", "ada", **AUDITED)
    first, *parts = map(json.loads, answer.stdout.splitlines())
    assert (first["format"], first["user_id"]) == ("authservice-account", ada)
    assert [(part["table"], len(part["rows"])) for part in parts] == [("users", 1), ("sessions", 2)]
    assert audited(answer.stderr) == [("account_exported", True)]


def test_a_deletion_is_asked_about_waits_for_the_grace_and_is_cancelled(run: Run, ada: str) -> None:
    refused = run("users", "delete", "ada", stdin="n\n")
    assert (refused.returncode, shown(run)["to_be_erased"]) == (1, None)
    done = run("users", "delete", "ada", stdin="y\n", **AUDITED)
    due = shown(run)["to_be_erased"]
    assert done.stdout == f"User ada will be erased at {due}; 2 live sessions ended.\n"
    assert audited(done.stderr) == [("account_deletion_requested", True)]
    kept = run("users", "delete", "ada", "--cancel", **AUDITED)
    assert (kept.stdout, audited(kept.stderr)) == ("User ada stays.\n", [("account_deletion_cancelled", True)])
    assert shown(run)["to_be_erased"] is None


def test_l7_who_is_deleted_at_once_is_not_in_the_files_any_more(run: Run, ada: str, tmp_path: Path) -> None:
    def is_in_files() -> bool:
        return any(b"Ada" in path.read_bytes() for path in (tmp_path / "data").glob("authservice.db*"))

    assert is_in_files()
    assert run("users", "delete", "ada", "--now", "--yes").stdout == "User ada is erased; 2 live sessions ended.\n"
    assert not is_in_files()
    gone = run("users", "show", "ada")
    assert (gone.returncode, "There is no user ada" in gone.stderr) == (1, True)
    again = run("users", "create", "ada", "--password-stdin", stdin="quiet copper lantern 47 rivers\n")
    assert (again.returncode, "taken" in again.stderr) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("delete", "ada", "--now", "--cancel"), 2, "either --now or --cancel"),
        (("delete", "nobody", "--yes"), 1, "There is no user nobody"),
        (("export", "nobody"), 1, "There is no user nobody"),
        (("show", "no body"), 1, "is no user name"),
    ],
)
def test_what_cannot_be_done_is_said(run: Run, ada: str, arguments: tuple[str, ...], code: int, said: str) -> None:
    answer = run("users", *arguments)
    assert (answer.returncode, said in answer.stderr) == (code, True), answer
    assert shown(run)["id"] == ada
