"""What mails say, from our templates and from those of others."""

import re
from datetime import UTC, datetime, timedelta
from email.headerregistry import Address
from email.message import EmailMessage
from pathlib import Path

import pytest
from uuid6 import uuid7

from authservice.domain.mail import Letter, MailKind, Purpose
from authservice.mail.messages import Courier
from authservice.mail.templates import FACTS, WITH_TOKEN, Templates, TemplatesUnfit
from authservice.ports import MailRefused
from tests.contract import ROOT

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
BASE = "https://accounts.example.com/"
TOKEN = "reset.AZ4h-token_canary"
HOSTILE = "<b>eve</b>\r\nBcc: everybody@example.com\r\n\r\n$token"


def a_letter(kind: MailKind = MailKind.RESET, address: str = "ada@example.com", **facts: str) -> Letter:
    given = {name: f"{name}-canary" for name in FACTS[kind] - {"what_to_do"}} | facts
    if kind in WITH_TOKEN:
        given["token"] = TOKEN
    return Letter(uuid7(), kind, given, NOW, NOW + timedelta(minutes=15), address)


def messages(letter: Letter, templates: Templates | None = None) -> tuple[EmailMessage, str, str]:
    """Return the message, and its two bodies."""
    courier = Courier(templates or Templates(None, BASE), Address("Accounts", "accounts", "example.com"), print)
    message = courier.message(letter)
    bodies = [message.get_body([kind]) for kind in ("plain", "html")]
    text, page = (body.get_content() for body in bodies if body)
    return message, text, page


def test_every_kind_that_is_sent_has_templates() -> None:
    assert set(FACTS) == {kind for kind in MailKind if not kind.is_asked}


@pytest.mark.parametrize("kind", FACTS)
def test_every_kind_says_all_its_facts_in_text_and_in_html(kind: MailKind) -> None:
    letter = a_letter(kind)
    message, text, page = messages(letter)
    for fact in letter.facts.values():
        assert fact in text
        assert fact in page
    assert "$" not in message["Subject"] + text + page
    assert "Subject:" not in text


def test_a_message_says_from_whom_to_whom_and_that_no_person_wrote_it() -> None:
    letter = a_letter()
    message, _, _ = messages(letter)
    assert message["From"] == "Accounts <accounts@example.com>"
    assert message["To"] == "ada@example.com"
    assert message["Message-ID"] == f"<{letter.id}@example.com>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Date"].datetime == NOW
    assert messages(letter)[0]["Message-ID"] == message["Message-ID"], "a repetition is the same message"


@pytest.mark.parametrize("kind", WITH_TOKEN)
def test_p9_the_link_begins_as_the_settings_say_and_link_and_code_are_of_one_token(kind: MailKind) -> None:
    _, text, page = messages(a_letter(kind))
    link = f"https://accounts.example.com/{kind.value.replace('_', '-')}?token={TOKEN}"
    assert f"  {link}\n" in text
    assert f"  {TOKEN}\n" in text
    assert f'href="{link}"' in page


def test_the_page_for_operators_says_what_the_front_end_has_to_have() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    rows = re.findall(r"^\| `(\w+)\.` \| `/([\w-]+)` \| `\w+`", page, re.MULTILINE)
    assert {purpose for purpose, _ in rows} == {purpose.value for purpose in Purpose}
    assert {path for _, path in rows} == {kind.value.replace("_", "-") for kind in WITH_TOKEN}


def test_p9_without_a_place_for_pages_there_is_a_code_and_no_link() -> None:
    _, text, page = messages(a_letter(), Templates())
    assert TOKEN in text
    assert TOKEN in page
    assert "http" not in text + page


def test_no_fact_begins_a_header_or_is_markup_or_is_filled_in_itself() -> None:
    letter = a_letter(MailKind.NEW_SIGN_IN, user_name=HOSTILE, client=HOSTILE)
    message, text, page = messages(letter)
    assert message.keys().count("Bcc") == 0
    assert "<b>eve</b>" not in page
    assert "&lt;b&gt;eve" in page
    assert "$token" in text, "as it was typed"


@pytest.mark.parametrize("address", ["a@example.com\r\nBcc: b@example.com", "nobody", "@example.com", "a@"])
def test_what_is_no_address_is_no_recipient(address: str) -> None:
    with pytest.raises(MailRefused):
        messages(a_letter(address=address))


@pytest.mark.parametrize(
    ("address", "header"),
    [
        ("a@example.com, b@example.com", '"a@example.com, b"@example.com'),
        ("a..b@example.com", "a..b@example.com"),
        ("grüße@example.com", "grüße@example.com"),
    ],
)
def test_a_message_has_one_recipient_however_an_address_is_spelled(address: str, header: str) -> None:
    message, _, _ = messages(a_letter(address=address))
    assert message["To"] == header
    assert len(message["To"].addresses) == 1
    assert message.as_bytes()


def test_the_text_travels_as_it_is_so_that_a_token_can_be_copied_out_of_a_file() -> None:
    message, _, _ = messages(a_letter())
    assert f"  {TOKEN}\r\n".encode() in message.as_bytes()


def test_mails_to_addresses_that_nobody_has_confirmed_hold_no_text_that_a_stranger_chose() -> None:
    assert all(FACTS[kind] == {"what_to_do"} for kind in WITH_TOKEN)


def test_a_folder_replaces_single_templates(tmp_path: Path) -> None:
    (tmp_path / "reset.txt").write_text("Subject: Neues Kennwort für $service\n\nGrüße! $what_to_do\n")
    (tmp_path / "link.txt").write_text("Hier: $link")
    message, text, page = messages(a_letter(), Templates(tmp_path, BASE, "Konten"))
    assert message["Subject"] == "Neues Kennwort für Konten"
    assert text == f"Grüße! Hier: https://accounts.example.com/reset?token={TOKEN}\n"
    assert "Somebody, probably you" in page


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("reset.txt", "Subject: Hello\n\n$user_name", r"reset.txt: knows no \$user_name; it may name \$service"),
        ("reset.txt", "Hello\n", "has to begin with a line `Subject"),
        ("reset.txt", "Subject: a\nBcc: b\n\nHello", "has to begin with a line `Subject"),
        ("reset.html", "5 $ only", r"begins no name has to be written \$\$"),
        ("rest.html", "Hello", "rest.html: is the name of no template"),
        ("reset.html", b"\xff", "is not UTF-8 text"),
    ],
)
def test_a_template_that_cannot_be_used_is_named_at_the_start(
    tmp_path: Path, name: str, content: str | bytes, problem: str
) -> None:
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(TemplatesUnfit, match=problem):
        Templates(tmp_path)
