"""The mail of a service that writes it into a folder."""

import email
import re
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

from authservice import bootstrap

SECONDS = 60.0
_TOKEN = re.compile(r"\b(?:reset|verify_email|change_email|invite)\.[\w-]{22}\.[\w-]{43}")


@dataclass
class Mailbox:
    """Everybody's. What was read once is not read again."""

    service: bootstrap.Service
    _read: set[Path] = field(default_factory=set)

    def new(self) -> list[EmailMessage]:
        """Have everything sent, and return what has come since the last time."""
        self.service.mail.deliver(SECONDS)
        folder = self.service.parts.settings.data_dir / "mail"
        files = sorted(set(folder.glob("*.eml")) - self._read) if folder.exists() else []
        self._read |= set(files)
        return [message_in(file) for file in files]

    def token(self, to: str = "ada@example.com") -> str:
        """Return the token of the one new mail to an address, where there is one with a token."""
        (found,) = [
            token_of(message) for message in self.new() if message["To"] == to and _TOKEN.search(text_of(message))
        ]
        return found


def text_of(message: EmailMessage) -> str:
    """Return what a mail says."""
    body = message.get_body(["plain"])
    assert body
    return str(body.get_content())


def token_of(message: EmailMessage) -> str:
    """Return the token in a mail."""
    found = _TOKEN.search(text_of(message))
    assert found, text_of(message)
    return found[0]


def message_in(file: Path) -> EmailMessage:
    """Return the mail in a file."""
    message = email.message_from_bytes(file.read_bytes(), policy=default)
    assert isinstance(message, EmailMessage)
    return message
