"""What people are told when a guarded service is set up wrong, or is on its own: once, and never a token."""

import logging

import pytest

from tests.clients.auth_server import AuthServer
from tests.clients.eventually import SOON, eventually
from tests.clients.scripted import first_answer, token
from tests.clients.stand_ins import Heard
from tests.clients.trusts import NewTrust, verdict

NOBODY = "127.0.0.1:1"


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what was said at the level that people see by default."""
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_an_authentication_service_that_is_not_there_is_named_once(
    new_trust: NewTrust, heard: Heard, caplog: pytest.LogCaptureFixture
) -> None:
    new_trust(NOBODY)
    eventually(lambda: len(heard.losses) >= 2, "two attempts have failed")
    (said,) = warnings(caplog)
    assert "does not say what is revoked" in said
    assert "tried again" in said


def test_a_loss_is_told_once_and_so_is_the_way_back(
    scripted: AuthServer, new_trust: NewTrust, heard: Heard, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "authclient")
    trust = new_trust(scripted)
    watch = scripted.next_watch().say(first_answer())
    assert trust.wait_until_ready(SOON)
    assert warnings(caplog) == []
    watch.end()
    scripted.next_watch().end()
    eventually(lambda: len(heard.losses) == 2, "it was lost twice in a row")
    scripted.next_watch().say(first_answer())
    eventually(lambda: heard.connections == 2, "it is back")
    assert len(warnings(caplog)) == 1
    assert [record.levelname for record in caplog.records] == ["INFO", "WARNING", "INFO"]


def test_a_wrong_audience_is_named_once_beside_the_right_one(
    auth: AuthServer, new_trust: NewTrust, caplog: pytest.LogCaptureFixture
) -> None:
    trust = new_trust(auth, audience="somebody-else")
    assert trust.wait_until_ready(SOON)
    tokens = [token(), token(preferred_username="grace")]
    assert [verdict(trust, text) for text in tokens] == ["TOKEN_INVALID"] * 2
    (said,) = warnings(caplog)
    assert "'somebody-else'" in said
    assert "'internal'" in said
    assert not any(text in caplog.text for text in tokens)


def test_a_token_that_nobody_signed_is_nothing_to_warn_of(
    auth: AuthServer, new_trust: NewTrust, caplog: pytest.LogCaptureFixture
) -> None:
    trust = new_trust(auth, audience="somebody-else")
    assert trust.wait_until_ready(SOON)
    assert verdict(trust, token()[:-86] + "A" * 86) == "TOKEN_INVALID"
    assert warnings(caplog) == []
