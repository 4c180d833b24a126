"""Ending sessions, many at a time."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from authservice.domain.session import SessionEnd
from authservice.storage.wording import as_parameter, change, rows

# Locked in the order of their ids, so that two such calls do not wait for each other.
_END = (
    "UPDATE sessions{forced} SET ended_at = {place}, end_reason = {place} WHERE id IN ({places}) AND ended_at IS NULL"
)
_END_LIVE = _END + " AND idle_end > {place}"
_NOT_ENDED = "SELECT id FROM sessions{forced} WHERE id IN ({places}) AND ended_at IS NULL{locked}"
_ENDED = "SELECT id FROM sessions{forced} WHERE id IN ({places}) AND ended_at = {place} AND end_reason = {place}"
_REVOKE = """
    INSERT INTO revocations (subject, min_generation, token_end)
    SELECT id, 0, COALESCE(token_end, absolute_end) FROM sessions{forced}
    WHERE id IN ({places})
"""


def end_each(connection: Connection, session_ids: set[UUID], reason: SessionEnd, now: datetime) -> set[UUID]:
    """End some sessions, with the rules that revoke their tokens. Returns those that were live.

    What is over by the clock ends as well, and each has its rule, however long ago its last token has expired: the
    clock may be ahead, and once it is back they count again.
    """
    asked = sorted(each.bytes for each in session_ids)
    mark = as_parameter(now), reason.value.encode()
    count = change(connection, _END_LIVE, len(asked), (*mark, *asked, mark[0]))
    live, over = asked, []
    if count < len(asked):
        # Another call may have ended one of them in the same microsecond. Then it is one of us that counts it.
        live = [row[0] for row in rows(connection, _ENDED, len(asked), (*asked, *mark))][:count]
        over = [row[0] for row in rows(connection, _NOT_ENDED, len(asked), asked)]
    if over:
        change(connection, _END, len(over), (*mark, *over))
    if ended := [*live, *over]:
        change(connection, _REVOKE, len(ended), ended)
    return {UUID(bytes=each) for each in live}
