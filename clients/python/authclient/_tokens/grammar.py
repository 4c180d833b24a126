"""The one spelling of an access token: three canonical segments, and a header of exactly three members.

Nothing is decoded before its length and grammar are known.
"""

import base64
import functools
import re
import string
from typing import Any

from authclient._tokens.claims import MalformedJson, read_object
from authclient._wire.refusals import Refused

MAX_TOKEN_BYTES = 4096
"""Longer texts are refused unread. The tokens of this service have at most 1,024 bytes."""
TOKEN_TYPE = "at+jwt"  # noqa: S105
"""RFC 9068 section 2.1. Any other type is a token for another purpose."""

_SEGMENTS = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)", re.ASCII)
_HEADER_MEMBERS = {"alg", "kid", "typ"}
KNOWN_HEADERS = 64
"""All tokens of a key have the same header, and there are few keys at a time. About 200 KB if all are the longest."""

_ALPHABET = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
_LAST_CHARACTERS = (_ALPHABET, "", _ALPHABET[::16], _ALPHABET[::4])
"""What a part may end with, by its length modulo 4. The last character carries 4 or 2 unused bits, and only zeros there
are the canonical spelling (RFC 4648 section 3.5). No part is one character longer than a multiple of four."""


class TokenRefused(Refused):
    """The token is not accepted."""


def check_form(token: str) -> None:
    """Check what can be checked without a key: grammar and header. Raises TokenRefused."""
    algorithm_and_key_id(segments(token)[0])


def header(token: str) -> dict[str, Any]:
    """Return the header of a token, unchecked. Raises TokenRefused if it is none."""
    try:
        return read_object(segments(token)[0])
    except MalformedJson:
        raise invalid("the header is malformed") from None


def payload(token: str) -> dict[str, Any]:
    """Return the payload of a token, unchecked. Raises TokenRefused if it is none."""
    try:
        return read_object(segments(token)[1])
    except MalformedJson:
        raise invalid("the payload is malformed") from None


@functools.lru_cache(KNOWN_HEADERS)
def algorithm_and_key_id(header_bytes: bytes) -> tuple[str, str]:
    """Return what a header says. Raises TokenRefused unless it is that of an access token."""
    try:
        header = read_object(header_bytes)
    except MalformedJson:
        raise invalid("the header is malformed") from None
    # Exactly these members: whatever else a header may hold (crit, jku, jwk, x5u, zip, b64 …) asks for something we do
    # not do.
    if header.keys() != _HEADER_MEMBERS or header["typ"] != TOKEN_TYPE:
        raise invalid("the header is not that of an access token")
    if type(header["alg"]) is not str or type(header["kid"]) is not str:
        raise invalid("the header is not that of an access token")
    return header["alg"], header["kid"]


def segments(token: str) -> tuple[bytes, bytes, bytes]:
    """Return header, payload and signature of a token. Raises TokenRefused if it is none."""
    if len(token) > MAX_TOKEN_BYTES or not (match := _SEGMENTS.fullmatch(token)):
        raise invalid("it is not a signed JWT in compact form")
    header, payload, signature = map(_decode, match.groups())
    return header, payload, signature


def _decode(segment: str) -> bytes:
    if segment[-1] not in _LAST_CHARACTERS[len(segment) % 4]:
        raise invalid("a part of it is not canonical base64url")
    return base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))


def invalid(why: str) -> TokenRefused:
    """Return the refusal of what is no good token. `why` is for logs."""
    return TokenRefused("TOKEN_INVALID", why)
