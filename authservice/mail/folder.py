"""Messages as files, where no SMTP server is configured: for whoever tries the service out."""

import os
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from pathlib import Path

from authservice.ports import CourierAway


@dataclass(frozen=True, slots=True)
class MailFolder:
    """Where messages are written. Lives as long as the process."""

    path: Path

    def carry(self, message: EmailMessage) -> None:
        """Write one message into a file of its own, for the eyes of this user only. A repetition replaces it.

        Raises CourierAway.
        """
        try:
            self._write(message)
        except OSError as error:
            raise CourierAway(f"{self.path}: {error.strerror}") from None

    def _write(self, message: EmailMessage) -> None:
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        written = parsedate_to_datetime(message["Date"])
        name = f"{written:%Y%m%dT%H%M%SZ}-{message['Message-ID'].strip('<>').partition('@')[0]}.eml"
        beside = self.path / f".{name}.{os.getpid()}"
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(message.as_bytes())
        beside.replace(self.path / name)
