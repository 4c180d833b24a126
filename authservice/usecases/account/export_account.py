"""ExportAccount: everything that is held about somebody, and no secret."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import cast
from uuid import UUID

from authservice.domain import events
from authservice.domain.deadline import Deadline
from authservice.domain.errors import SessionEnded
from authservice.domain.person import Person
from authservice.ports import Audit, AuthStores, Clock, Database, Fingerprints
from authservice.usecases.steps.person import person_of

FORMAT = "authservice-account"
VERSION = 1
STEP_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class ExportAccount:
    """Reads what is held about people, a batch of rows at a time.

    Which columns that is, the storage says: see storage/tables/held.py.
    """

    database: Database[AuthStores]
    fingerprints: Fingerprints
    clock: Clock
    audit: Audit
    batch: int = 100

    def __call__(self, user_id: UUID, *, by_operator: bool = False) -> Iterator[str]:
        """Yield JSON objects, each in one line: first what this is, then the rows of each table.

        Each is read when it is asked for. Raises SessionEnded if there is no such account, StorageUnavailable,
        Conflict.
        """
        user = self.database.read(lambda tx: tx.users.get(user_id), Deadline.after(STEP_SECONDS))
        if user is None:
            raise SessionEnded
        person = person_of(user, self.fingerprints)
        self.audit.record(events.AccountExported(user_id=user_id, by_operator=by_operator))
        yield _line({"format": FORMAT, "version": VERSION, "time": self.clock(), "user_id": user_id})
        for table in self.database.read(lambda tx: tx.personal_data.tables(), Deadline.after(STEP_SECONDS)):
            yield from self._lines(person, table)

    def _lines(self, person: Person, table: str) -> Iterator[str]:
        after: object = None
        while True:
            rows, after = self._page(person, table, after)
            if rows:
                yield _line({"table": table, "rows": rows})
            if after is None:
                return

    def _page(self, person: Person, table: str, after: object) -> tuple[list[dict[str, object]], object]:
        return self.database.read(
            lambda tx: tx.personal_data.page(person, table, after, self.batch), Deadline.after(STEP_SECONDS)
        )


def _line(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=_plain)


def _plain(value: object) -> str:
    """Return what JSON has no form of: times in ISO 8601, ids in their text form, bytes in base64."""
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds")
    return str(value) if isinstance(value, UUID) else base64.b64encode(cast(bytes, value)).decode()
