"""The listings of docs/accounts.md run in their order, and an export looks as docs/privacy.md shows it."""

import json
import re
import sys
from typing import Any

import pytest

from tests.examples.pages import ACCOUNTS, PRIVACY, block
from tests.examples.programs import CALL_SECONDS, ROOT, AuthProcess, finished
from tests.examples.test_python_listings import AUTH, Names, lists
from tests.faults.processes import wait_until
from tests.rpc.account.mailbox import message_in, text_of


def test_people_look_after_their_accounts_as_the_page_shows(
    auth: AuthProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    names: Names = {}

    def run(text: str) -> str:
        lists(names, text.replace(AUTH, auth.address).replace("data/mail", str(auth.data / "mail")))
        return capsys.readouterr().out

    run(block(ACCOUNTS, "python", "import grpc"))
    assert run(block(ACCOUNTS, "python", "account.ChangePassword(")) == "0 other sessions ended\n"
    assert "LIKE_NAME: the password " in run(block(ACCOUNTS, "python", "account.EstimatePassword("))
    run(block(ACCOUNTS, "python", "account.ResetPassword("))
    by_grpcurl(block(ACCOUNTS, "sh", "ResetPassword"), auth, names)
    run(block(ACCOUNTS, "python", "account.ChangeEmail("))
    mine = names["tokens"].session_id
    assert f"{mine} Firefox on Linux 127.0.0.1 (this one)" in run(block(ACCOUNTS, "python", "account.ListSessions("))
    run(block(ACCOUNTS, "python", "account.RevokeOtherSessions("))
    assert run(block(ACCOUNTS, "python", "account.ConfirmTotp(")) == "10 recovery codes\n"
    run(block(ACCOUNTS, "python", "auth.CompleteLogin("))
    run(block(ACCOUNTS, "python", "auth.StepUp("))
    assert run(block(ACCOUNTS, "python", "account.RemoveTotp(")) == "8 recovery codes left\n"
    assert run(block(ACCOUNTS, "python", "account.UpdateAccount(")) == "Ada Lovelace\n"
    require_as_shown(
        [json.loads(line) for line in run(block(ACCOUNTS, "python", "account.ExportAccount(")).splitlines()]
    )
    assert run(block(ACCOUNTS, "python", "account.DeleteAccount(")).startswith("erased at 20")
    run(block(ACCOUNTS, "python", "account.CancelDeletion("))
    kept = names["account"].GetAccount(names["account_api"].GetAccountRequest(), metadata=names["proof"], timeout=10)
    assert not kept.account.HasField("erase_time"), "it was cancelled"


def by_grpcurl(commands: str, auth: AuthProcess, names: Names) -> None:
    """Run the block of a shell, with a token that is good in the place of the one that is shown."""
    request = names["account_api"].RequestPasswordResetRequest(user_name_or_email="ada")
    names["account"].RequestPasswordReset(request, timeout=10)
    spent = names["token"]
    wait_until(lambda: newest_token(auth, spent) is not None, 20, "the mail")
    commands = commands.replace(AUTH, auth.address).replace("reset.AaIBOfnI...", newest_token(auth, spent) or "")
    finished(["bash", "-euc", commands.replace(".venv/bin", f"{sys.prefix}/bin")], ROOT, CALL_SECONDS)


def newest_token(auth: AuthProcess, spent: str) -> str | None:
    """Return the token of a reset that has come since another was spent."""
    texts = [text_of(message_in(file)) for file in (auth.data / "mail").glob("*.eml")]
    found = [match[0] for text in texts if (match := re.search(r"reset\.[\w-]+\.[\w-]+", text))]
    return next((token for token in found if token != spent), None)


def require_as_shown(exported: list[dict[str, Any]]) -> None:
    """Require that an export has the lines that the page about privacy shows."""
    first, part = (
        json.loads(block(PRIVACY, "json", "authservice-account")),
        json.loads(block(PRIVACY, "json", "rows")),
    )
    assert exported[0].keys() == first.keys()
    assert (exported[0]["format"], exported[0]["version"]) == (first["format"], first["version"])
    assert all(each.keys() == part.keys() and each["rows"] for each in exported[1:])
