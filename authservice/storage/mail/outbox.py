"""Mail that waits to be sent.

An attempt begins with a claim: one conditional update that counts it and moves the moment at which the next is due. So
of several servers one makes it, and where that one dies, another makes the next, after the claim has run out.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, delete, func, select, update

from authservice.domain.mail import MailKind, QueuedMail
from authservice.storage.tables.mail import outbox
from authservice.storage.upsert import insert_unless_there


class SqlOutbox:
    """See ports.Outbox."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, mail: QueuedMail) -> None:
        """Keep a mail."""
        row = {column.name: getattr(mail, column.name) for column in outbox.c}
        insert_unless_there(self._connection, outbox, **{**row, "kind": mail.kind.value})

    def due(self, now: datetime, limit: int) -> list[QueuedMail]:
        """Return mails whose time has come, by the index on it."""
        query = select(outbox).where(outbox.c.due_at <= now).order_by(outbox.c.due_at).limit(limit)
        return [QueuedMail(**{**row._mapping, "kind": MailKind(row.kind)}) for row in self._connection.execute(query)]

    def claim(self, mail: QueuedMail, until: datetime) -> bool:
        """Begin an attempt; the count of those before it decides between parallel ones."""
        claimed = self._connection.execute(
            update(outbox)
            .where(outbox.c.id == mail.id, outbox.c.attempts == mail.attempts)
            .values(attempts=mail.attempts + 1, due_at=until)
        )
        return claimed.rowcount == 1

    def put_off(self, mail_id: UUID, due_at: datetime) -> None:
        """Say when the next attempt is due."""
        self._connection.execute(update(outbox).where(outbox.c.id == mail_id).values(due_at=due_at))

    def remove(self, mail_id: UUID) -> None:
        """Delete a mail."""
        self._connection.execute(delete(outbox).where(outbox.c.id == mail_id))

    def waiting(self) -> int:
        """Return how many there are."""
        return self._connection.execute(select(func.count()).select_from(outbox)).scalar_one()

    def forget(self, limit: int) -> int:
        """Delete up to `limit` mails."""
        # The ids first: see expired.py.
        ids = self._connection.execute(select(outbox.c.id).limit(limit)).scalars().all()
        return self._connection.execute(delete(outbox).where(outbox.c.id.in_(ids))).rowcount if ids else 0
