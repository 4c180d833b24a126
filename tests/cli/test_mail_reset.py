"""`authservice users set-password --mail`."""

import re
from pathlib import Path

from authservice import bootstrap
from authservice.config import Settings
from authservice.domain.deadline import Deadline
from tests.cli.conftest import Run
from tests.conftest import CHEAPEST
from tests.observed import OTHER_PASSWORD, PASSWORD
from tests.rpc.account.mailbox import Mailbox


def test_a_user_is_sent_a_mail_and_chooses_a_password(run: Run, tmp_path: Path) -> None:
    run("users", "create", "ada", "--email", "ada@example.com", "--password-stdin", stdin=PASSWORD)
    done = run("users", "set-password", "ADA", "--mail")
    assert done.returncode == 0, done.stderr
    assert re.match(r"User ADA is sent a mail, whose token is good until 20", done.stdout)
    assert "reset." not in done.stdout + done.stderr, "the token is for the mail alone"
    service = bootstrap.assemble(Settings(data_dir=tmp_path / "data"), hash_cost=CHEAPEST)  # type: ignore[call-arg]
    token = Mailbox(service).token()
    assert service.account.reset_password(token, OTHER_PASSWORD, Deadline.after(20)) == 0
    service.close()


def test_who_has_no_address_needs_a_one_time_password(run: Run) -> None:
    run("users", "create", "ada", "--password-stdin", stdin=PASSWORD)
    done = run("users", "set-password", "ada", "--mail")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Error: User ada has no address of their own. Make a one-time password: leave --mail away.\n"
