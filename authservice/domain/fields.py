"""Checking the fields of a request all at once, so that a caller sees everything that is wrong in one answer."""

import re
import unicodedata
from collections.abc import Callable
from typing import ParamSpec, TypeVar
from uuid import UUID

from authservice.domain.errors import FieldRejected, InvalidInput, Violation

P = ParamSpec("P")
T = TypeVar("T")

MOST_OF_A_PASSKEY_ANSWER = 16_384
"""Bytes. Attestations that nobody asks for may be long; a signature takes about 1,000."""
_LANGUAGE_TAG = re.compile(r"[a-z]{2,8}(-[a-z0-9]{1,8})*", re.ASCII | re.IGNORECASE)
_ROLE_NAME = re.compile(r"[a-z][a-z0-9._-]{0,63}", re.ASCII)


class Fields:
    """Collects what is wrong with a request. Lives as long as the reading of one request."""

    def __init__(self) -> None:
        self._violations: list[Violation] = []

    def read(self, field: str, reader: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
        """Return reader(*args), or None after noting why the field was rejected."""
        try:
            return reader(*args, **kwargs)
        except FieldRejected as rejected:
            self._violations.append(Violation(field, str(rejected), rejected.reason))
            return None

    def require_valid(self) -> None:
        """Raise InvalidInput with every violation noted so far, if there is one."""
        if self._violations:
            raise InvalidInput(*self._violations)


def bounded_text(value: str, *, least: int = 0, most: int) -> str:
    """Return `value` if it has `least` to `most` code points. Raises FieldRejected."""
    if len(value) < least:
        raise FieldRejected("is required" if not value else f"must have at least {least} characters", "TOO_SHORT")
    if len(value) > most:
        raise FieldRejected(f"must have at most {most} characters", "TOO_LONG")
    return value


def bounded_bytes(value: str, *, most: int) -> str:
    """Return `value` if it has at most `most` bytes of UTF-8. Raises FieldRejected, also for half a surrogate pair."""
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise FieldRejected("is not valid Unicode") from None
    if size > most:
        raise FieldRejected(f"must have at most {most} bytes of UTF-8")
    return value


def another_password(new: str, old: str) -> str:
    """Return a new password that is not the old one. Raises FieldRejected."""
    if new and new == old:
        raise FieldRejected("is the old password. Choose another one", "UNCHANGED")
    return new


def client_label(value: str) -> str:
    """Return the label of a client.

    It has at most 64 code points, none of them a control or format character. Raises FieldRejected.
    """
    if any(unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp") for character in value):
        raise FieldRejected("must not contain control or invisible characters")
    return bounded_text(value, most=64)


def display_name(value: str) -> str:
    """Return what a person wants to be called: as `client_label`. Raises FieldRejected."""
    return client_label(value)


def language_tag(value: str) -> str:
    """Return a language tag of the form of BCP 47, of at most 35 characters (RFC 5646 section 4.4.1), or an empty text.

    Raises FieldRejected.
    """
    if value and not (len(value) <= 35 and _LANGUAGE_TAG.fullmatch(value)):
        raise FieldRejected("must be a language tag of at most 35 characters, such as 'en' or 'de-CH'")
    return value


def uuid_of(value: str) -> UUID:
    """Return the id of a session or a passkey: a UUID as this service writes it. Raises FieldRejected."""
    try:
        found = UUID(value)
    except ValueError:
        found = None
    if found is None or str(found) != value:
        raise FieldRejected("must be a UUID in its 36-character lower-case form" if value else "is required")
    return found


def role_name(value: str) -> str:
    """Return the name of a role. Raises FieldRejected."""
    if not _ROLE_NAME.fullmatch(value):
        raise FieldRejected(
            "must be 1 to 64 characters: a lower-case letter, then lower-case letters, digits, '.', '_' and '-'"
        )
    return value


def idempotency_key(value: str) -> str | None:
    """Return the key, or None if there is none: 16 to 64 printable ASCII characters. Raises FieldRejected."""
    if not value:
        return None
    if not (value.isascii() and value.isprintable()):
        raise FieldRejected("must be printable ASCII")
    return bounded_text(value, least=16, most=64)


def passkey_answer(value: str) -> str:
    """Return what a browser has answered with a passkey, unread. Raises FieldRejected."""
    return bounded_bytes(bounded_text(value, least=1, most=MOST_OF_A_PASSKEY_ANSWER), most=MOST_OF_A_PASSKEY_ANSWER)
