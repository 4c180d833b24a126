"""What `doctor` says of mail."""

import json

import pytest

from tests.cli.conftest import Run
from tests.mail.servers import Postbox, smtp_server
from tests.observed import PASSWORD


@pytest.fixture(autouse=True)
def migrated(run: Run) -> None:
    run("users", "create", "ada", "--password-stdin", stdin=PASSWORD)


def told(run: Run, **variables: str) -> tuple[int, list[tuple[str, str]]]:
    """Return the exit code, and outcome and finding of the check."""
    done = run("doctor", "--json", **variables)
    rows = json.loads(done.stdout)
    return done.returncode, [(row["outcome"], row["finding"]) for row in rows if row["check"] == "mail"]


def test_without_a_server_it_says_where_mail_is_written(run: Run) -> None:
    code, [(outcome, finding)] = told(run)
    assert (code, outcome) == (0, "ok")
    assert finding.startswith("written into data/mail")


def test_it_tries_the_server_as_a_mail_would(run: Run) -> None:
    postbox = Postbox()
    with smtp_server(postbox) as port:
        where = {"AUTHSERVICE_SMTP_HOST": "127.0.0.1", "AUTHSERVICE_SMTP_PORT": str(port)}
        assert told(run, AUTHSERVICE_SMTP_SECURITY="plain", **where) == (0, [("ok", f"127.0.0.1:{port} takes mail")])
        code, [(outcome, finding)] = told(run, **where)
    assert (code, outcome) == (1, "failed")
    assert "STARTTLS" in finding
    assert postbox.taken == []
