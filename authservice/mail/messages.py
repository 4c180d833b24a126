"""From a letter to a message (RFC 5322)."""

from collections.abc import Callable
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from authservice.domain.mail import Letter, shown
from authservice.mail.templates import Templates

Carry = Callable[[EmailMessage], None]
"""Brings a message on its way. Raises MailRefused, MailPutOff, CourierAway."""


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
        message = EmailMessage(policy=SMTP)
        # Whatever has the end of a line in it, is refused here and begins no header of its own.
        message["From"] = self.sender
        message["To"] = Address(addr_spec=letter.address)
        message["Subject"] = page.subject
        message["Date"] = format_datetime(letter.written_at)
        message["Message-ID"] = f"<{letter.id}@{self.sender.domain}>"
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's absence is to answer.
        message.set_content(page.text)
        message.add_alternative(page.html, subtype="html")
        return message
