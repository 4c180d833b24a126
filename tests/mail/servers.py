"""Real SMTP servers for tests, that also fail, stall, refuse and drop."""

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword, Session

from tests.mariadb import free_port

OK = "250 OK"


@dataclass
class Postbox:
    """What an SMTP server does with mail, and what it has taken.

    Attributes:
        answers: what is said to the next mails, in turn, after their last line; then each is taken.
        of_recipients: the same of their recipients.
        arrived: is set once a mail was taken to its last line.
        holds_back: nothing is answered to that before it is set.
    """

    answers: list[str] = field(default_factory=list)
    of_recipients: list[str] = field(default_factory=list)
    taken: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    users: list[bytes] = field(default_factory=list)
    arrived: threading.Event = field(default_factory=threading.Event)
    holds_back: threading.Event | None = None

    async def handle_RCPT(self, _server: Any, _session: Session, envelope: Envelope, address: str, _: Any) -> str:
        answer = self.of_recipients.pop(0) if self.of_recipients else OK
        if answer == OK:
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, _server: Any, _session: Session, envelope: Envelope) -> str:
        content = envelope.content
        assert isinstance(content, bytes)
        message = message_from_bytes(content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        self.taken.append(message)
        self.recipients += envelope.rcpt_tos
        self.arrived.set()
        if self.holds_back:
            await asyncio.to_thread(self.holds_back.wait, 60)
        return self.answers.pop(0) if self.answers else OK

    def authenticate(self, _server: Any, _session: Any, _envelope: Any, mechanism: str, given: Any) -> AuthResult:
        """Let in one user."""
        is_good = isinstance(given, LoginPassword) and given.password == b"smtp-canary"
        if is_good:
            self.users.append(given.login)
        return AuthResult(success=is_good, handled=is_good)


@contextlib.contextmanager
def smtp_server(
    postbox: Postbox, *, tls: ssl.SSLContext | None = None, security: str = "plain", **options: Any
) -> Iterator[int]:
    """Yield the port of a running server on loopback."""
    kinds: dict[str, dict[str, Any]] = {
        "starttls": {"tls_context": tls, "require_starttls": True},
        "tls": {"ssl_context": tls},
        "plain": {},
    }
    controller = Controller(postbox, "127.0.0.1", free_port(), **kinds[security], **options)
    controller.start()
    try:
        yield controller.port
    finally:
        controller.stop()


@contextlib.contextmanager
def rude_server(talk: Callable[[socket.socket], object]) -> Iterator[int]:
    """Yield the port of one that does with each connection what `talk` does, and then closes it."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listening.accept()
                with connection, contextlib.suppress(OSError):
                    talk(connection)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield int(listening.getsockname()[1])
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()


def silent(connection: socket.socket) -> None:
    """Say nothing until the caller hangs up."""
    connection.recv(1)


def dribbling(connection: socket.socket) -> None:
    """Begin a greeting that never ends."""
    ended = threading.Event()
    while not ended.wait(0.02):
        connection.sendall(b"2")


def dropping_after_data(connection: socket.socket) -> None:
    """Take a mail to its last line, and hang up without a word."""
    lines = connection.makefile("rb")
    connection.sendall(b"220 here\r\n")
    for line in lines:
        if line == b".\r\n":
            return
        if line.upper().startswith(b"DATA"):
            connection.sendall(b"354 go on\r\n")
        elif line.upper().startswith((b"EHLO", b"MAIL", b"RCPT")):
            connection.sendall(b"250 OK\r\n")
