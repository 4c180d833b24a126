"""What stories about mail, and about the one-time tokens in it, need."""

from datetime import datetime
from typing import Protocol
from uuid import UUID

from authservice.domain.mail import EmailClaim, IssuedToken, Letter, OneTimeToken, Purpose, QueuedMail


class EmailClaims(Protocol):
    """Which account each address belongs to."""

    def holder(self, email: str) -> EmailClaim | None:
        """Return who has claimed a canonical address."""

    def name(self, email: str, user_id: UUID) -> EmailClaim:
        """Claim an address for a user without proof, unless somebody has claimed it.

        Returns the claim that there is now, and keeps others from changing it until the transaction ends.
        """

    def confirm(self, email: str, user_id: UUID, now: datetime) -> bool:
        """Give the address to a user who has proved that it is theirs, and tell whether it is theirs now.

        It is taken from whoever has claimed it without proof, and stays with whoever has proved it before.
        """

    def release(self, user_id: UUID, keep: str) -> None:
        """Give up every address of a user but one."""


class OneTimeTokens(Protocol):
    """One-time tokens, by the hashes of their secrets."""

    def put(self, token: IssuedToken) -> None:
        """Keep a token in the place of the one before in its slot."""

    def get(self, token_id: UUID) -> IssuedToken | None:
        """Return a token. To look at one spends nothing."""

    def in_slot(self, slot: bytes) -> IssuedToken | None:
        """Return the token of an owner and a purpose."""

    def empty(self, slot: bytes) -> None:
        """Delete it."""

    def withdraw(self, slot: bytes, now: datetime) -> bool:
        """Delete it if nobody has spent it and its time is not over. Tells whether it was so."""

    def spend(self, token: OneTimeToken, call_id: UUID, now: datetime, user_id: UUID) -> bool:
        """Spend a token if nobody has and its time is not over. Of any number of calls one is told True.

        It is `user_id`'s from then on, also one that was nobody's.
        """

    def forget(self, limit: int) -> int:
        """Delete up to `limit` tokens, whosever they are. Returns how many were deleted."""


class Outbox(Protocol):
    """Mail that waits to be sent. It leaves when it was sent, and not before."""

    def add(self, mail: QueuedMail) -> None:
        """Keep a mail. One with this id that is already there stays as it is."""

    def due(self, now: datetime, limit: int) -> list[QueuedMail]:
        """Return up to `limit` mails whose time has come, those that have waited longest first."""

    def claim(self, mail: QueuedMail, until: datetime) -> bool:
        """Begin an attempt: nobody else may until then. Tells whether the mail was as it is given, so nobody has."""

    def put_off(self, mail_id: UUID, due_at: datetime) -> None:
        """Say when the next attempt is due."""

    def remove(self, mail_id: UUID) -> None:
        """Delete a mail that was sent, or that nobody is to be sent."""

    def waiting(self) -> int:
        """Return how many there are."""

    def forget(self, limit: int) -> int:
        """Delete up to `limit` mails. Returns how many were deleted."""


class MailQuotas(Protocol):
    """How many mails were asked for, by address."""

    def take(self, subject: bytes, now: datetime, most: int) -> bool:
        """Count a mail, unless there were `most` in the hour before `now`. Tells whether it was counted.

        `subject` is 32 bytes that stand for an address. Parallel calls wait for each other.
        """


class TokenMint(Protocol):
    """The texts of one-time tokens."""

    def new(self, token_id: UUID, purpose: Purpose) -> OneTimeToken:
        """Return a new token with a secret of 256 bits."""

    def read(self, text: str, *purposes: Purpose) -> OneTimeToken:
        """Return the token whose text this is. Raises OneTimeTokenInvalid unless it has the form of these."""


class EnvelopeUnreadable(Exception):
    """A mail in the outbox was sealed by somebody else."""


class Envelopes(Protocol):
    """What keeps the content of mail from whoever reads the database."""

    def seal(self, letter: Letter) -> QueuedMail:
        """Return the mail as the outbox keeps it."""

    def open(self, mail: QueuedMail) -> Letter:
        """Return the letter. Raises EnvelopeUnreadable."""


class MailRefused(Exception):
    """A mail will never be taken, such as one to an address that is not there. `code` is that of RFC 5321."""

    def __init__(self, code: int) -> None:
        super().__init__(f"SMTP {code}")
        self.code = code


class MailPutOff(Exception):
    """A mail was not taken this time. `code` is that of RFC 5321."""

    def __init__(self, code: int) -> None:
        super().__init__(f"SMTP {code}")
        self.code = code


class CourierAway(Exception):
    """No mail can be sent right now. The text says why, for the log, without an address."""


class Courier(Protocol):
    """Who brings mail on its way."""

    def send(self, letter: Letter) -> None:
        """Send a letter. Raises MailRefused, MailPutOff, CourierAway.

        A repetition is the same message to whoever receives it.
        """
