"""The listings of docs/accounts.md run in their order, and an export looks as docs/privacy.md shows it."""

import json
from typing import Any

import pytest

from tests.examples.pages import ACCOUNTS, PRIVACY, block
from tests.examples.programs import AuthProcess
from tests.examples.test_python_listings import AUTH, Names, lists


def test_people_look_after_their_accounts_as_the_page_shows(
    auth: AuthProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    names: Names = {}

    def run(text: str) -> str:
        lists(names, text.replace(AUTH, auth.address))
        return capsys.readouterr().out

    run(block(ACCOUNTS, "python", "import grpc"))
    mine = names["tokens"].session_id
    assert f"{mine} Firefox on Linux 127.0.0.1 (this one)" in run(block(ACCOUNTS, "python", "account.ListSessions("))
    run(block(ACCOUNTS, "python", "account.RevokeOtherSessions("))
    assert run(block(ACCOUNTS, "python", "account.UpdateAccount(")) == "Ada Lovelace\n"
    require_as_shown(
        [json.loads(line) for line in run(block(ACCOUNTS, "python", "account.ExportAccount(")).splitlines()]
    )
    assert run(block(ACCOUNTS, "python", "account.DeleteAccount(")).startswith("erased at 20")
    run(block(ACCOUNTS, "python", "account.CancelDeletion("))
    kept = names["account"].GetAccount(names["account_api"].GetAccountRequest(), metadata=names["proof"], timeout=10)
    assert not kept.account.HasField("erase_time"), "it was cancelled"
    assert "LIKE_NAME: the password " in run(block(ACCOUNTS, "python", "account.EstimatePassword("))
    assert run(block(ACCOUNTS, "python", "account.ChangePassword(")) == "0 other sessions ended\n"


def require_as_shown(exported: list[dict[str, Any]]) -> None:
    """Require that an export has the lines that the page about privacy shows."""
    first, part = (
        json.loads(block(PRIVACY, "json", "authservice-account")),
        json.loads(block(PRIVACY, "json", "rows")),
    )
    assert exported[0].keys() == first.keys()
    assert (exported[0]["format"], exported[0]["version"]) == (first["format"], first["version"])
    assert all(each.keys() == part.keys() and each["rows"] for each in exported[1:])
