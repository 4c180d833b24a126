"""A service that knows breached passwords, asked by ranges: it learns 20 bits of a password's SHA-1 and no more.

The protocol is that of Have I Been Pwned (`GET <url><first 5 hex digits>`), which whoever keeps a mirror serves too.
The answer has one line for each password that begins so, `<the other 35 hex digits>:<how often it was seen>`. Padding
is asked for, so that its size does not tell which range it was; those lines have a count of 0.
"""

import re
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any

from authservice.security.password_policy import LookUpFailed

_PREFIX = 5
_MOST_BYTES = 1 << 20
_MOST_AT_ONCE = 8
_LINE = re.compile(r"([0-9A-Fa-f]{35}):([0-9]+)")


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Follows none: the address is the operator's choice."""

    def redirect_request(self, *_: Any) -> None:
        return None


@dataclass(frozen=True, slots=True)
class BreachRange:
    """Asks for ranges. Lives as long as the process; safe for many threads.

    Args:
        url: to which the first 5 hex digits are appended.
        seconds: how long an answer may take in all, from the look-up of the name to the last byte.
    """

    url: str
    seconds: float
    is_local: bool = False
    _free: threading.BoundedSemaphore = field(
        default_factory=lambda: threading.BoundedSemaphore(_MOST_AT_ONCE), init=False, repr=False
    )

    def has(self, sha1: bytes) -> bool:
        """Tell whether the service knows the password with this digest. Raises LookUpFailed."""
        text = sha1.hex().upper()
        lines = self._in_time(lambda: _fetch(self.url + text[:_PREFIX], self.seconds)).split()
        matches = [_LINE.fullmatch(line) for line in lines]
        if not all(matches):  # As from a proxy that answers everything with a page of its own.
            raise LookUpFailed("the answer is none of a range service")
        return any(match[1].upper() == text[_PREFIX:] and int(match[2]) for match in matches if match)

    def _in_time(self, fetch: Callable[[], str]) -> str:
        """Return what is fetched. Raises LookUpFailed."""
        # In a thread that is given up: no limit of a socket counts for the look-up of a name, nor for a server that
        # sends a byte now and then. How many are out is bounded.
        if not self._free.acquire(blocking=False):
            raise LookUpFailed(f"{_MOST_AT_ONCE} earlier look-ups have not ended")
        answers: list[str | Exception] = []

        def run() -> None:
            try:
                answers.append(fetch())
            except (OSError, HTTPException, ValueError) as error:
                answers.append(error)
            finally:
                self._free.release()

        thread = threading.Thread(target=run, name="breach-range", daemon=True)
        thread.start()
        thread.join(self.seconds)
        answer = answers[0] if answers else TimeoutError()
        if isinstance(answer, Exception):
            cause = getattr(answer, "reason", answer)  # urllib wraps what happens before there is a connection.
            if isinstance(cause, TimeoutError):
                raise LookUpFailed(f"there was no answer within {self.seconds:g} s")
            raise LookUpFailed(_words(answer))
        return answer


def _fetch(url: str, seconds: float) -> str:
    request = urllib.request.Request(url, headers={"Add-Padding": "true", "User-Agent": "authservice"})  # noqa: S310  # the setting allows http and https alone
    try:
        with urllib.request.build_opener(_NoRedirects).open(request, timeout=seconds) as answer:
            body: bytes = answer.read(_MOST_BYTES + 1)
    except urllib.error.HTTPError as refused:
        refused.close()  # It is the answer as well.
        raise
    if len(body) > _MOST_BYTES:
        raise ValueError("the answer is too long")
    return body.decode("ascii")


def _words(error: Exception) -> str:
    """Return what is wrong, without the address: it ends in a part of the digest."""
    if isinstance(error, urllib.error.HTTPError):
        return f"it answered {error.code}"
    reason = getattr(error, "reason", error)
    return f"{type(reason).__name__}: {getattr(reason, 'strerror', None) or 'no answer'}"
