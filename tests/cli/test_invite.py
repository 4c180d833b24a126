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


def test_an_invitation_is_withdrawn_and_a_repetition_says_that_there_is_none(run: Run) -> None:
    run("users", "create", "ada", "--password-stdin", stdin=PASSWORD)
    run("users", "invite", "grace@example.com", AUTHSERVICE_REGISTRATION="invited")
    done = run("users", "invite", "GRACE@example.com", "--withdraw")
    assert (done.returncode, done.stdout) == (0, "GRACE@example.com is no longer invited.\n")
    assert '"audit": "invitation_withdrawn"' in done.stderr
    again = run("users", "invite", "grace@example.com", "--withdraw")
    assert again.stdout == "grace@example.com was not invited, or has registered.\n"
    assert "invitation_withdrawn" not in again.stderr
    nothing = run("users", "invite", "grace", "--withdraw")
    assert nothing.stderr == "Error: 'grace' cannot have been invited: it is not an e-mail address.\n"


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
