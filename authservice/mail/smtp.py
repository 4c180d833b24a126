"""Giving messages to an SMTP server (RFC 5321), over a connection of their own each.

What the server says about one message concerns that message; everything else, a wrong password or a server that hangs
up, concerns all of them.
"""

import contextlib
import smtplib
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Literal

from authservice.ports import CourierAway, MailPutOff, MailRefused

_CLOSING = 421
"""The server closes the connection, whatever it was asked (RFC 5321 section 3.8)."""

_NO_SUCH_NAME = 553


class _Bounded:
    """Mixed into a connection of smtplib: cuts it after a time, however slowly the server goes on saying something.

    smtplib's own limit begins anew with every byte.
    """

    def __init__(self, host: str, port: int, seconds: float, **options: Any) -> None:
        self._cut = threading.Timer(seconds, self._shut)
        self._cut.daemon = True
        self._cut.start()
        super().__init__(host, port, timeout=seconds, **options)  # type: ignore[call-arg]  # smtplib's

    def close(self) -> None:
        """Close the connection."""
        self._cut.cancel()
        super().close()  # type: ignore[misc]  # smtplib's

    def _shut(self) -> None:
        if sock := getattr(self, "sock", None):
            with contextlib.suppress(OSError):
                sock.shutdown(2)


class _Plain(_Bounded, smtplib.SMTP):
    """A connection that begins in the clear."""


class _Tls(_Bounded, smtplib.SMTP_SSL):
    """A connection that begins with TLS."""


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """Where messages go, and how. Lives as long as the process.

    Args:
        security: `starttls` insists on it; `tls` from the first byte (RFC 8314); `plain` for a server on this machine.
        user: whom to log in as; nobody if it is empty.
        seconds: what one message may take, from connecting to the answer.
        ca_file: who signed the server's certificate, in place of those that this machine trusts.
    """

    host: str
    port: int
    security: Literal["starttls", "tls", "plain"] = "starttls"
    user: str = ""
    password: str = field(default="", repr=False)
    seconds: float = 15.0
    ca_file: Path | None = None

    def carry(self, message: EmailMessage) -> None:
        """Give the server one message. Raises MailRefused, MailPutOff, CourierAway."""
        with self._understood(), self._connected() as connection:
            self._give(connection, message)

    def visit(self) -> None:
        """Connect and log in as for a message, and give the server none. Raises CourierAway."""
        with self._understood(), self._connected():
            pass

    @contextlib.contextmanager
    def _understood(self) -> Iterator[None]:
        """Raise what is meant by whatever smtplib raises."""
        try:
            yield
        except smtplib.SMTPRecipientsRefused as refused:
            ((code, _),) = refused.recipients.values()
            raise _of_this_message(code) from None
        except smtplib.SMTPDataError as refused:
            raise _of_this_message(refused.smtp_code) from None
        except smtplib.SMTPResponseException as refused:
            raise CourierAway(f"{type(refused).__name__} {refused.smtp_code}") from None
        except smtplib.SMTPNotSupportedError as error:
            raise CourierAway(str(error)) from None
        except smtplib.SMTPServerDisconnected:
            raise CourierAway("the server hung up, or took too long") from None
        except OSError as error:
            raise CourierAway(f"{type(error).__name__}: {error}") from None

    def _give(self, connection: smtplib.SMTP, message: EmailMessage) -> None:
        try:
            connection.send_message(message)
        except smtplib.SMTPNotSupportedError:  # The address has letters that this server does not know (RFC 6531).
            raise MailRefused(_NO_SUCH_NAME) from None

    @contextlib.contextmanager
    def _connected(self) -> Iterator[smtplib.SMTP]:
        connection = self._connect()
        try:
            if self.security == "starttls":
                connection.starttls(context=self._context())
            if self.user:
                connection.login(self.user, self.password)
            yield connection
            with contextlib.suppress(OSError):  # It has taken the message, whatever it says to the end of the visit.
                connection.quit()
        finally:
            connection.close()

    def _connect(self) -> smtplib.SMTP:
        if self.security == "tls":
            return _Tls(self.host, self.port, self.seconds, context=self._context())
        return _Plain(self.host, self.port, self.seconds)

    def _context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.ca_file)


def _of_this_message(code: int) -> Exception:
    if code == _CLOSING:
        return CourierAway(f"the server is closing: {code}")
    return MailPutOff(code) if code < 500 else MailRefused(code)
