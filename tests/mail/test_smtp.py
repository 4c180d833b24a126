"""Messages and SMTP servers: those that take them, and those that fail, stall, refuse and drop."""

import ssl
from email.message import EmailMessage
from pathlib import Path

import pytest

from authservice.mail.smtp import SmtpServer
from authservice.ports import CourierAway, MailPutOff, MailRefused
from tests.mail import servers
from tests.mail.servers import Postbox, rude_server, smtp_server
from tests.mariadb import free_port
from tests.rpc.authority import Authority


def a_message(to: str = "ada@example.com") -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "authservice@example.com", to, "Hello"
    message["Message-ID"] = "<one@example.com>"
    message.set_content("Hello")
    return message


def plain(port: int, seconds: float = 10.0, **options: str) -> SmtpServer:
    return SmtpServer("127.0.0.1", port, "plain", seconds=seconds, **options)  # type: ignore[arg-type]


def a_context(folder: Path) -> tuple[Authority, ssl.SSLContext]:
    authority = Authority(folder, "mail-ca")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*authority.issue("localhost"))
    return authority, context


def test_a_message_arrives_as_it_was_written() -> None:
    postbox = Postbox()
    with smtp_server(postbox) as port:
        plain(port).carry(a_message())
    assert postbox.recipients == ["ada@example.com"]
    assert postbox.taken[0]["Message-ID"] == "<one@example.com>"


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_it_travels_by_tls_and_after_a_login(security: str, tmp_path: Path) -> None:
    authority, context = a_context(tmp_path)
    postbox = Postbox()
    with smtp_server(
        postbox,
        tls=context,
        security=security,
        authenticator=postbox.authenticate,
        auth_required=security == "starttls",
        auth_require_tls=security == "starttls",
    ) as port:
        options = {"user": "mailer", "password": "smtp-canary", "ca_file": authority.cert_file, "seconds": 10.0}
        SmtpServer("localhost", port, security, **options).carry(a_message())  # type: ignore[arg-type]
        with pytest.raises(CourierAway, match="535") as refused:
            SmtpServer("localhost", port, security, **{**options, "password": "wrong-canary"}).carry(a_message())  # type: ignore[arg-type]
    assert (postbox.users, len(postbox.taken)) == ([b"mailer"], 1)
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_server_that_nobody_has_signed_for_gets_nothing(security: str, tmp_path: Path) -> None:
    _, context = a_context(tmp_path)
    postbox = Postbox()
    with smtp_server(postbox, tls=context, security=security) as port, pytest.raises(CourierAway, match="CERTIFICATE"):
        SmtpServer("localhost", port, security, "mailer", "smtp-canary").carry(a_message())  # type: ignore[arg-type]
    assert (postbox.users, postbox.taken) == ([], [])


def test_a_server_that_cannot_do_starttls_gets_neither_password_nor_mail() -> None:
    postbox = Postbox()
    serving = smtp_server(postbox, auth_require_tls=False, authenticator=postbox.authenticate)
    with serving as port, pytest.raises(CourierAway, match="STARTTLS"):
        SmtpServer("127.0.0.1", port, "starttls", "mailer", "smtp-canary").carry(a_message())
    assert (postbox.users, postbox.taken) == ([], [])


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("452 too much", MailPutOff),
        ("451 greylisted", MailPutOff),
        ("554 spam", MailRefused),
        ("550 nobody", MailRefused),
        ("421 closing", CourierAway),
    ],
)
@pytest.mark.parametrize("when", ["answers", "of_recipients"])
def test_what_a_server_says_of_one_message_concerns_that_one(when: str, answer: str, expected: type[Exception]) -> None:
    postbox = Postbox()
    getattr(postbox, when).append(answer)
    with smtp_server(postbox) as port:
        with pytest.raises(expected) as refused:
            plain(port).carry(a_message())
        plain(port).carry(a_message())
    assert "example.com" not in str(refused.value), "no address reaches the log"


def test_an_address_whose_letters_the_server_does_not_know_is_refused_and_does_not_stop_the_others() -> None:
    with smtp_server(Postbox(), enable_SMTPUTF8=False) as port:
        with pytest.raises(MailRefused):
            plain(port).carry(a_message("ädä@example.com"))
        plain(port).carry(a_message())


@pytest.mark.parametrize("talk", [servers.silent, servers.dribbling, servers.dropping_after_data, lambda _: None])
def test_a_server_that_stalls_dribbles_or_drops_holds_nobody(talk: object) -> None:
    with rude_server(talk) as port, pytest.raises(CourierAway):  # type: ignore[arg-type]
        plain(port, 0.5).carry(a_message())


def test_a_server_that_is_not_there_is_away() -> None:
    with pytest.raises(CourierAway, match="ConnectionRefusedError"):
        plain(free_port()).carry(a_message())


def test_a_visit_finds_out_whether_mail_would_be_taken_and_sends_none() -> None:
    postbox = Postbox()
    with smtp_server(postbox) as port:
        plain(port).visit()
        with pytest.raises(CourierAway, match="STARTTLS"):
            SmtpServer("127.0.0.1", port, "starttls").visit()
    assert postbox.taken == []
    with pytest.raises(CourierAway, match="ConnectionRefusedError"):
        plain(port).visit()
