"""How many mails were asked for, by address."""

from datetime import datetime, timedelta

from sqlalchemy import Connection, select, update

from authservice.storage.tables.mail import mail_quotas
from authservice.storage.upsert import insert_unless_there

_HOUR = timedelta(hours=1)


class SqlMailQuotas:
    """See ports.MailQuotas."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def take(self, subject: bytes, now: datetime, most: int) -> bool:
        """Count a mail, unless there were `most` in the hour before."""
        # An insert first: it is what parallel calls wait at, also where there is no row yet.
        insert_unless_there(self._connection, mail_quotas, subject=subject, mailed_at=(), expires_at=now + _HOUR)
        row = mail_quotas.c.subject == subject
        earlier = self._connection.execute(select(mail_quotas.c.mailed_at).where(row).with_for_update()).scalar_one()
        lately = tuple(moment for moment in earlier if moment > now - _HOUR)
        if len(lately) >= most:
            return False
        self._connection.execute(
            update(mail_quotas).where(row).values(mailed_at=(*lately, now), expires_at=now + _HOUR)
        )
        return True
