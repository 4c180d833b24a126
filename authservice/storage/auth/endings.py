"""Ending sessions, many at a time."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from authservice.domain.revocation import LATE
from authservice.domain.session import SessionEnd
from authservice.storage.wording import as_parameter, execute

# Locked in the order of their ids, so that two such calls do not wait for each other.
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
    asked = sorted(each.bytes for each in session_ids)
    live = [row[0] for row in execute(connection, _LIVE, len(asked), (*asked, moment))]
    if live:
        execute(connection, _END, len(live), (moment, reason.value.encode(), *live))
        execute(connection, _REVOKE, len(live), (*live, as_parameter(now - LATE)))
    return {UUID(bytes=each) for each in live}
