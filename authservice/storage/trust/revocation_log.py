"""The rules about revoked tokens, as every server reads them over and over."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Engine

from authservice.domain.revocation import Revocation, least_token_end
from authservice.storage.reader import Reader
from authservice.storage.wording import as_moment, as_parameter

_RULES = "SELECT seq, subject, min_generation, token_end FROM revocations WHERE "
# In one statement, so that both halves see the same commits.
_COUNTED = _RULES + (
    "seq > {place} UNION ALL SELECT -1, NULL, {if_writable}COUNT(*)), NULL FROM revocations WHERE token_end > {place}"
)
_COUNT = -1
_MIN_GENERATION = 2


class SqlRevocationLog:
    """See ports.RevocationLog. For one thread at a time."""

    def __init__(self, engine: Engine) -> None:
        self._reader = Reader(engine)

    def after(self, seq: int) -> list[Revocation]:
        """Return the rules with a higher number that are committed."""
        return _rules(self._reader.read(_RULES + "seq > {place}", 1, (seq,)))

    def counted_after(self, seq: int, now: datetime) -> tuple[list[Revocation], int]:
        """Return the rules with a higher number, and in the same read how many rules still matter at `now`."""
        limit = as_parameter(least_token_end(now))
        rows = self._reader.read(_COUNTED, 1, (seq, limit), _MIN_GENERATION)
        count = next(row[2] for row in rows if row[0] == _COUNT)
        return _rules(row for row in rows if row[0] != _COUNT), int(count)

    def all(self, now: datetime) -> list[Revocation]:
        """Return every rule that still matters at `now`."""
        limit = as_parameter(least_token_end(now))
        return _rules(self._reader.read(_RULES + "token_end > {place}", 1, (limit,)))

    def close(self) -> None:
        """Give the connection back."""
        self._reader.close()


def _rules(rows: Iterable[tuple[Any, ...]]) -> list[Revocation]:
    return [
        Revocation(seq, UUID(bytes=bytes(subject)), min_generation, as_moment(token_end))
        for seq, subject, min_generation, token_end in sorted(rows)
    ]
