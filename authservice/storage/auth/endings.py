"""Ending sessions, many at a time."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from authservice.domain.revocation import LATE
from authservice.domain.session import SessionEnd
from authservice.storage.wording import as_parameter, change, rows

# Locked in the order of their ids, so that two such calls do not wait for each other.
_END = """
    UPDATE sessions{forced} SET ended_at = {place}, end_reason = {place}
    WHERE id IN ({places}) AND ended_at IS NULL AND idle_end > {place}
"""
_ENDED = "SELECT id FROM sessions{forced} WHERE id IN ({places}) AND ended_at = {place} AND end_reason = {place}"
_REVOKE = """
    INSERT INTO revocations (subject, min_generation, token_end)
    SELECT id, 0, COALESCE(token_end, absolute_end) FROM sessions{forced}
    WHERE id IN ({places}) AND COALESCE(token_end, absolute_end) > {place}
"""


def end_each(connection: Connection, session_ids: set[UUID], reason: SessionEnd, now: datetime) -> set[UUID]:
    """End the live ones among some sessions, with the rules that revoke their tokens. Returns those."""
    asked = sorted(each.bytes for each in session_ids)
    mark = as_parameter(now), reason.value.encode()
    count = change(connection, _END, len(asked), (*mark, *asked, mark[0]))
    ended = asked
    if count < len(asked):
        # Another call may have ended one of them in the same microsecond. Then it is one of us that counts it.
        ended = [row[0] for row in rows(connection, _ENDED, len(asked), (*asked, *mark))][:count]
    if ended:
        change(connection, _REVOKE, len(ended), (*ended, as_parameter(now - LATE)))
    return {UUID(bytes=each) for each in ended}
