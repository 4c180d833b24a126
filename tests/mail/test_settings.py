"""What the settings of mail may be."""

import pytest
from pydantic import ValidationError

from authservice.config import MailSettings


def settings(**given: object) -> MailSettings:
    return MailSettings.model_validate(given)


@pytest.mark.parametrize("sender", ["", "nobody", "a@example.com\r\nBcc: b@example.com", "Accounts <accounts@>"])
def test_a_sender_is_one_address(sender: str) -> None:
    with pytest.raises(ValidationError, match="is no address"):
        settings(mail_from=sender)


@pytest.mark.parametrize(
    "base", ["accounts.example.com", "javascript:alert(1)", "https://", "https://example.com/?a=b"]
)
def test_p9_links_begin_with_a_place_and_nothing_else(base: str) -> None:
    with pytest.raises(ValidationError, match="no beginning of a link"):
        settings(mail_link_base=base)


@pytest.mark.parametrize("host", ["smtp.example.com", "10.0.0.1"])
def test_a_password_never_travels_in_the_clear_to_another_machine(host: str) -> None:
    with pytest.raises(ValidationError, match="in the clear"):
        settings(smtp_host=host, smtp_user="mailer", smtp_security="plain")
    settings(smtp_host="localhost", smtp_user="mailer", smtp_security="plain")
    settings(smtp_host=host, smtp_user="mailer")


def test_a_reset_is_good_for_an_hour_at_most() -> None:
    with pytest.raises(ValidationError):
        settings(reset_seconds=3601)
