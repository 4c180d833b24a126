"""What a verified access token says, and the strict reading of it.

Every claim is required and has one type (RFC 8725 section 3.8, RFC 9068 section 2.2). Python's JSON reader is more
generous than the RFCs: it takes repeated names, NaN and numbers of any size, so each of these is refused here.
"""

import functools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, NoReturn

LATEST_TIME = 253_402_300_799
"""Seconds since the epoch at the end of the year 9999, the last moment that a Timestamp or a datetime can hold."""

LATEST_GENERATION = 2**31 - 1

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_SURROGATES = re.compile("[\ud800-\udfff]")
_DIGITS = 18
MAX_DEPTH = 32
"""Levels of lists and objects; the object itself is the first. Readers of other languages go no deeper either."""
_BRACKETS = re.compile(rb'"(?:[^"\\]+|\\.)*"?|[\[{\]}]', re.DOTALL)
"""What opens or closes a level, and texts as a whole, in which brackets mean nothing."""


class MalformedJson(ValueError):
    """The bytes are not one JSON object in the strict sense of this module."""


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims of one access token. Times are in UTC, to the second; ids are UUIDs in text form.

    `key_id` is the id of the key that signed it. `generation` grows with each change of what tokens say about the user.
    `raw` is the whole payload, of which nothing but the claims above has been checked.
    """

    key_id: str
    issuer: str
    audience: str
    client_id: str
    user_id: str
    user_name: str
    session_id: str
    token_id: str
    issued_at: datetime
    not_before: datetime
    expires_at: datetime
    authenticated_at: datetime
    auth_methods: tuple[str, ...]
    roles: tuple[str, ...]
    generation: int
    raw: Mapping[str, Any] = field(repr=False)

    @property
    def begins_at(self) -> datetime:
        """The first moment at which the token counts."""
        return max(self.not_before, self.issued_at)


def read_object(data: bytes) -> dict[str, Any]:
    """Read one JSON object. Raises MalformedJson for anything that two readers could understand differently."""
    if _is_too_deep(data):
        raise MalformedJson
    try:
        value = _STRICT.decode(data.decode("utf-8"))
    except (ValueError, RecursionError):
        raise MalformedJson from None
    if not isinstance(value, dict):
        raise MalformedJson
    return value


def read_claims(payload: bytes, key_id: str) -> Claims:
    """Read the payload of an access token that is signed with the key `key_id`.

    Raises MalformedJson if a claim is missing or of the wrong type or form.
    """
    object_ = read_object(payload)
    return Claims(
        key_id=key_id,
        issuer=_text(object_, "iss"),
        audience=_text(object_, "aud"),
        client_id=_text(object_, "client_id"),
        user_id=_uuid(object_, "sub"),
        user_name=_text(object_, "preferred_username"),
        session_id=_uuid(object_, "sid"),
        token_id=_text(object_, "jti"),
        issued_at=_time(object_, "iat"),
        not_before=_time(object_, "nbf"),
        expires_at=_time(object_, "exp"),
        authenticated_at=_time(object_, "auth_time"),
        auth_methods=_texts(object_, "amr"),
        roles=_texts(object_, "roles"),
        generation=_integer(object_, "gen", LATEST_GENERATION),
        raw=object_,
    )


def _text(claims: dict[str, Any], name: str) -> str:
    value = claims.get(name)
    if type(value) is not str or not value or not _is_unicode(value):
        raise MalformedJson(name)
    return value


def _uuid(claims: dict[str, Any], name: str) -> str:
    value = _text(claims, name)
    if not _UUID.fullmatch(value):
        raise MalformedJson(name)
    return value


def _time(claims: dict[str, Any], name: str) -> datetime:
    return _moment(_integer(claims, name, LATEST_TIME))


@functools.lru_cache(1024)
def _moment(seconds: int) -> datetime:
    """Return one object for all tokens that name this second: a service sees many of each."""
    return datetime.fromtimestamp(seconds, timezone.utc)


def _integer(claims: dict[str, Any], name: str, most: int) -> int:
    value = claims.get(name)
    # `type` and not isinstance: True is an int to Python.
    if type(value) is not int or not 0 <= value <= most:
        raise MalformedJson(name)
    return value


def _texts(claims: dict[str, Any], name: str) -> tuple[str, ...]:
    value = claims.get(name)
    if type(value) is not list or not all(type(item) is str and item and _is_unicode(item) for item in value):
        raise MalformedJson(name)
    return _shared(tuple(value))


@functools.lru_cache(1024)
def _shared(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Return one object for all tokens that say the same: there are few sets of roles, and many tokens."""
    return texts


def _is_unicode(text: str) -> bool:
    # JSON escapes can spell half a surrogate pair, which no UTF-8 field can hold.
    return text.isascii() or not _SURROGATES.search(text)


def _is_too_deep(data: bytes) -> bool:
    if data.count(b"[") + data.count(b"{") <= MAX_DEPTH:  # The ordinary case.
        return False
    depth = 0
    for found in _BRACKETS.finditer(data):
        if found[0] in b"[{":
            depth += 1
        elif found[0] in b"]}":
            depth -= 1
        if depth > MAX_DEPTH:
            return True
    return False


def _unique_names(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    object_ = dict(pairs)
    if len(object_) != len(pairs):
        raise MalformedJson("a name stands twice")
    return object_


def _no_constant(text: str) -> NoReturn:
    raise MalformedJson(text)


def _small_int(text: str) -> int:
    if len(text.lstrip("-")) > _DIGITS:
        raise MalformedJson
    return int(text)


_STRICT = json.JSONDecoder(object_pairs_hook=_unique_names, parse_constant=_no_constant, parse_int=_small_int)
