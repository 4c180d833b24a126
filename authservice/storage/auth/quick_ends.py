"""Ending sessions in the driver's own words.

Logouts are frequent. To put three statements together costs SQLAlchemy more than a small batch of logouts costs in all
the rest.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from authservice.domain.revocation import LATE
from authservice.domain.session import SessionEnd
from authservice.storage.reader import as_parameter

# Locked in the order of their ids, so that two such calls do not wait for each other; found by their key, whatever old
# statistics tell the optimizer.
_LIVE = """
    SELECT id FROM sessions{forced} WHERE id IN ({places}) AND ended_at IS NULL AND idle_end > {place}
    ORDER BY id{locked}
"""
_END = "UPDATE sessions{forced} SET ended_at = {place}, end_reason = {place} WHERE id IN ({places})"
_REVOKE = """
    INSERT INTO revocations (subject, min_generation, token_end)
    SELECT id, 0, COALESCE(token_end, absolute_end) FROM sessions{forced}
    WHERE id IN ({places}) AND COALESCE(token_end, absolute_end) > {place}
"""


def end_each(connection: Connection, session_ids: set[UUID], reason: SessionEnd, now: datetime) -> set[UUID]:
    """End the live ones among some sessions, with the rules that revoke their tokens. Returns those."""
    moment = as_parameter(now)
    rows = connection.exec_driver_sql(
        _spelled(_LIVE, connection, len(session_ids)), (*sorted(each.bytes for each in session_ids), moment)
    )
    live = [bytes(row[0]) for row in rows]
    if live:
        _execute(connection, _END, live, before=(moment, reason.value.encode()))
        _execute(connection, _REVOKE, live, after=(as_parameter(now - LATE),))
    return {UUID(bytes=each) for each in live}


def _execute(
    connection: Connection,
    statement: str,
    ids: Sequence[bytes],
    before: tuple[object, ...] = (),
    after: tuple[object, ...] = (),
) -> None:
    connection.exec_driver_sql(_spelled(statement, connection, len(ids)), (*before, *ids, *after))


def _spelled(statement: str, connection: Connection, count: int) -> str:
    """Return a statement about so many sessions, as this database spells it."""
    is_sqlite = connection.dialect.name == "sqlite"
    place = "?" if is_sqlite else "%s"
    return statement.format(
        place=place,
        places=", ".join([place] * count),
        forced="" if is_sqlite else " FORCE INDEX (PRIMARY)",
        locked="" if is_sqlite else " FOR UPDATE",
    )
