"""What becomes of mail: one story per file."""

from dataclasses import dataclass

from authservice.usecases.mail.deliver import Deliver


@dataclass(frozen=True, slots=True)
class MailStories:
    """The stories of this area, ready to be called. Live as long as the process."""

    deliver: Deliver
