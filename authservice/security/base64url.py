"""Base64url without padding (RFC 4648 section 5), in the one spelling that each text of bytes has.

Decoders that are kind skip what they do not know and ignore loose last bits. Then one token would have several
spellings, and whoever compares texts would take one for another.
"""

import base64
import binascii


def encode(raw: bytes) -> str:
    """Return the text of some bytes."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def decode(text: str) -> bytes:
    """Return the bytes whose text this is. Raises ValueError for any other spelling."""
    try:
        raw = base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    except binascii.Error:
        raise ValueError("is no base64url") from None
    if encode(raw) != text:
        raise ValueError("is not the one spelling of what it says")
    return raw
