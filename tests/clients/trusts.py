"""Trusts that are made for a test, and what they make of a token."""

from collections.abc import Callable

from authclient import Refused, Trust
from authclient._judging.verified import Ask

from tests.clients.scripted import token

NewTrust = Callable[..., Trust]
"""What the fixture `new_trust` returns."""


def verdict(trust: Trust, text: str | None = None, max_staleness: float = 10.0) -> str:
    """Return the reason why a token is refused here, `ask` if that cannot be told, or nothing."""
    try:
        found = trust.judge.judge(text or token(), max_staleness)
    except Refused as refused:
        return refused.reason
    return "ask" if isinstance(found, Ask) else ""
