"""Metadata entries: the token, the name of a stream, and those by which other systems say who is calling."""

import re
import secrets
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from authclient._wire.refusals import Refused

Metadata: TypeAlias = Iterable[tuple[str, str | bytes]]

STREAM_ENTRY = "authclient-stream"
"""Metadata entry by which a caller names a stream that it wants to be able to renew."""

_BLANKS = " \t"
_USUAL = frozenset({"authorization", "user-agent"})
"""What nearly every call has, and nobody is told by. It needs no closer look."""
_FIRST = ("x-", "x_user", "remote-user", "authclient-")
"""How every one of them begins, for a quick look at each entry of each call."""
_FORGEABLE = re.compile(
    r"x-(?:user(?:-.*|id|name|info)?|auth-.*|authenticated-.*|remote-user|roles?|identity-.*|email|groups|subject"
    r"|forwarded-(?:user|email|groups|preferred-username|client-cert)|consumer-.*|credential-.*|jwt-.*"
    r"|goog-authenticated-.*|endpoint-api-userinfo|amzn-oidc-.*|ms-client-principal.*)"
    r"|x_user.*|remote-user|authclient-.*"
)


def bearer_token(metadata: Metadata) -> str:
    """Return the token of the `authorization` entry.

    Raises Refused: TOKEN_MISSING without such an entry, or without a token in it; TOKEN_INVALID for two, of which a
    proxy and a server may choose different ones, and for another scheme. Callers of all are told how the entry has to
    look.
    """
    found = None
    for key, value in metadata:
        if key == "authorization":
            if found is not None:
                raise _malformed("there are two authorization entries")
            found = value
    if found is None:
        raise Refused("TOKEN_MISSING", "there is no authorization entry")
    text = found if isinstance(found, str) else "bytes"
    scheme, _, token = text.partition(" ")
    if scheme.lower() == "bearer" and token.strip(_BLANKS):
        return token
    # Proxies and servers take blanks off an entry, or drop it for them; it must not matter which.
    if text.strip(_BLANKS).lower() in {"", "bearer"}:
        raise Refused("TOKEN_MISSING", "there is no token in the authorization entry")
    raise _malformed("the authorization entry is not a bearer token")


def _malformed(why: str) -> Refused:
    return Refused("TOKEN_INVALID", why, words="TOKEN_MISSING")


def bearer(token: str) -> tuple[str, str]:
    """Return the metadata entry that carries a token."""
    return ("authorization", f"Bearer {token}")


def has_authorization(metadata: Any) -> bool:
    """Tell whether a call already says who is calling."""
    return any(re.fullmatch("authorization", key, re.IGNORECASE) for key, _ in metadata or ())


def stream_name(metadata: Sequence[tuple[str, str | bytes]]) -> str | None:
    """Return the name that a caller gave to a stream, if there is a usable one."""
    names = [value for key, value in metadata if key == STREAM_ENTRY]
    if len(names) == 1 and isinstance(names[0], str) and re.fullmatch(r"[A-Za-z0-9_-]{22,64}", names[0], re.ASCII):
        return names[0]
    return None


def new_stream_name() -> str:
    """Return a name for a stream that nobody else can guess."""
    return secrets.token_urlsafe(16)


def is_forged(metadata: Iterable[tuple[str, str | bytes]]) -> bool:
    """Tell whether there are entries by which other systems say who is calling. Here anybody could have set them."""
    for key, _ in metadata:  # noqa: SIM110  # every call passes here, and any() costs more than the look itself
        if key not in _USUAL and key.startswith(_FIRST) and _FORGEABLE.fullmatch(key):
            return True
    return False


def without_forged(metadata: Iterable[tuple[str, str | bytes]]) -> tuple[tuple[str, str | bytes], ...]:
    """Return the metadata without such entries."""
    return tuple(entry for entry in metadata if not _FORGEABLE.fullmatch(entry[0]))
