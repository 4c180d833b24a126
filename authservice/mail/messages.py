"""From a letter to a message (RFC 5322)."""

from collections.abc import Callable
from dataclasses import dataclass
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime

from authservice.domain.mail import Letter, shown
from authservice.mail.templates import Templates
from authservice.ports import MailRefused

Carry = Callable[[EmailMessage], None]
"""Brings a message on its way. Raises MailRefused, MailPutOff, CourierAway."""


_NO_SUCH_NAME = 553


@dataclass(frozen=True, slots=True)
class Courier:
    """See ports.Courier. Lives as long as the process."""

    templates: Templates
    sender: Address
    carry: Carry

    def send(self, letter: Letter) -> None:
        """Send a letter. Each time that the same one is sent, it is the same message, by its Message-ID."""
        self.carry(self.message(letter))

    def message(self, letter: Letter) -> EmailMessage:
        """Return the message."""
        times = {"time": shown(letter.written_at), "until": shown(letter.expires_at)}
        page = self.templates.fill(letter.kind, {**letter.facts, **times})
        message = EmailMessage(policy=SMTP if letter.address.isascii() else SMTPUTF8)
        # Whatever has the end of a line in it, is refused here and begins no header of its own.
        message["From"] = self.sender
        message["To"] = _address(letter.address)
        message["Subject"] = page.subject
        message["Date"] = format_datetime(letter.written_at)
        message["Message-ID"] = f"<{letter.id}@{self.sender.domain}>"
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's absence is to answer.
        # As it is, where that can be: people copy codes out of files, and `=` at the end of a line is part of none.
        message.set_content(page.text, cte="7bit" if _is_plain(page.text) else None)
        message.add_alternative(page.html, subtype="html")
        return message


def _is_plain(text: str) -> bool:
    """Tell whether a text may travel as it is (RFC 5322 section 2.1.1)."""
    return text.isascii() and all(len(line) <= 998 for line in text.splitlines())


def _address(text: str) -> Address:
    """Return an address for a header. Raises MailRefused for one of which none can be made."""
    user, _, domain = text.rpartition("@")
    if not (user and domain):
        raise MailRefused(_NO_SUCH_NAME)
    try:
        return Address(username=user, domain=domain)
    except (ValueError, HeaderParseError, IndexError):
        raise MailRefused(_NO_SUCH_NAME) from None
