"""`authservice users set-email`."""

from tests.cli.conftest import Run
from tests.observed import PASSWORD


def test_an_operator_gives_an_account_another_address(run: Run) -> None:
    run("users", "create", "ada", "--email", "ada@example.com", "--password-stdin", stdin=PASSWORD)
    done = run("users", "set-email", "ADA", "ada@example.net")
    assert done.returncode == 0, done.stderr
    said = "User ADA now has ada@example.net, and is sent a mail to confirm it; 0 live sessions ended.\n"
    assert done.stdout == said
    assert '"audit": "email_set_by_operator"' in done.stderr
    assert "verify_email." not in done.stdout + done.stderr, "the token is for the mail alone"
    assert "ada@example.net" in run("users", "list").stdout
    assert run("users", "set-email", "ada", "ada@example.net").stdout == "User ada has ada@example.net already.\n"


def test_what_is_no_address_and_who_is_nobody_are_said(run: Run) -> None:
    run("users", "create", "ada", "--password-stdin", stdin=PASSWORD)
    done = run("users", "set-email", "ada", "grace")
    assert (done.returncode, done.stderr) == (1, "Error: 'grace' cannot be set: it is not an e-mail address.\n")
    assert run("users", "set-email", "eve", "eve@example.com").returncode == 1
