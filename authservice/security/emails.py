"""E-mail addresses: their form, and when two are the same. Whether mail arrives there is another question."""

from dataclasses import dataclass

from email_validator import EmailNotValidError, validate_email

from authservice.domain.errors import FieldRejected
from authservice.domain.fields import bounded_bytes

MAX_BYTES = 254


@dataclass(frozen=True, slots=True)
class Emails:
    """Reads e-mail addresses."""

    def read(self, typed: str) -> str:
        """Return the canonical address. Raises FieldRejected.

        Lower case throughout. RFC 5321 lets a host tell `Ann@` from `ann@`; none of today's does, and two accounts on
        one mailbox would be worse (CVE-2019-19844).
        """
        if not typed:
            raise FieldRejected("is required")
        bounded_bytes(typed, most=MAX_BYTES)
        try:
            address = validate_email(typed, check_deliverability=False, test_environment=True)
        except EmailNotValidError:
            raise FieldRejected("is not an e-mail address") from None
        return address.normalized.lower()

    def read_optional(self, typed: str) -> str | None:
        """Return the same, or None for an empty text. Raises FieldRejected."""
        return self.read(typed) if typed else None
