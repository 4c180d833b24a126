"""`authservice users invite`."""

from tests.cli.conftest import Run
from tests.observed import PASSWORD


def test_an_operator_has_an_invitation_sent(run: Run) -> None:
    run("users", "create", "ada", "--password-stdin", stdin=PASSWORD)
    done = run("users", "invite", "grace@example.com", AUTHSERVICE_REGISTRATION="invited")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Invited grace@example.com, until 20")
    assert '"audit": "person_invited"' in done.stderr
    assert "invite." not in done.stdout + done.stderr, "the token is for the mail alone"


def test_what_is_no_address_and_where_nobody_may_register_is_said(run: Run) -> None:
    run("users", "create", "ada", "--password-stdin", stdin=PASSWORD)
    done = run("users", "invite", "grace")
    assert (done.returncode, done.stderr) == (1, "Error: 'grace' cannot be invited: it is not an e-mail address.\n")
    done = run("users", "invite", "grace@example.com", AUTHSERVICE_REGISTRATION="closed")
    assert done.returncode == 1
    assert "AUTHSERVICE_REGISTRATION" in done.stderr


def test_an_operator_makes_accounts_where_registration_is_closed(run: Run) -> None:
    closed = {"AUTHSERVICE_REGISTRATION": "closed", "AUTHSERVICE_EMAIL_CONFIRMATION": "required"}
    done = run("users", "create", "ada", "--password-stdin", stdin=PASSWORD, **closed)
    assert done.returncode == 0, done.stderr
