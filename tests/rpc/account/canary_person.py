"""A person of whom every table holds something, in every column, that is found again wherever it is left."""

import hashlib
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Boolean, Column, Integer, insert, select
from uuid6 import uuid7

from authservice import bootstrap
from authservice.domain.deadline import Deadline
from authservice.domain.person import Person
from authservice.storage.columns import Bytes, Id, Time, Times, Words, packed
from authservice.storage.tables import metadata
from authservice.storage.tables.held import HELD, Kind, of_people
from authservice.usecases.steps.admit_attempt import account_of
from authservice.usecases.steps.admit_code import codes_of
from authservice.usecases.steps.person import person_of

_numbers = itertools.count()
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass
class CanaryPerson:
    """Lives as long as a test. Values are by table and column."""

    service: bootstrap.Service
    person: Person
    values: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def put_into(cls, service: bootstrap.Service, rows: int = 1) -> "CanaryPerson":
        """Write some rows about a new person into every table that holds any, as export and erasure know them."""
        user_id = uuid7()
        account = account_of(user_id, service.parts.fingerprints)
        canary = cls(service, Person(user_id, account, codes_of(user_id, service.parts.fingerprints)))
        people = of_people()
        with service.parts.engine.begin() as connection:
            for table in (each for each in metadata.sorted_tables if each in people):
                by = people[table]
                for _ in range(1 if list(table.primary_key.columns) == [by] else rows):
                    row = {column.name: canary._value(column) for column in table.columns}
                    row[by.name] = user_id if isinstance(by.type, Id) else account
                    connection.execute(insert(table).values(**row))
                    canary.values[table.name] = row
        found = service.account.get_account.database.read(lambda tx: tx.users.get(user_id), Deadline.after(20))
        assert found
        assert person_of(found, service.parts.fingerprints) == canary.person
        return canary

    def of_kind(self, *kinds: Kind) -> dict[tuple[str, str], Any]:
        """Return the values in columns of these kinds."""
        return {
            (table, name): self.values[table][name]
            for table in self.values
            for name, kind in HELD[table].kinds()
            if kind in kinds
        }

    def left(self) -> Iterator[str]:
        """Yield each table and column that holds something of the person, besides pseudonyms that may stay."""
        needles = set(_needles(self.of_kind(Kind.PERSONAL, Kind.SECRET).values()))
        assert len(needles) > 20
        for table, column, stored in everything(self.service):
            if any(needle in stored for needle in needles):
                yield f"{table}.{column}"

    def in_files(self, folder: Path) -> list[bytes]:
        """Return what is left in the files of an embedded database."""
        stored = b"".join(path.read_bytes() for path in folder.glob("authservice.db*"))
        assert b"CREATE TABLE users" in stored
        pseudonyms = set(_needles(self.of_kind(Kind.PSEUDONYM).values()))
        needles = {*_needles(self.of_kind(Kind.PERSONAL, Kind.SECRET).values()), *pseudonyms}
        return [needle for needle in needles if needle in stored]

    def _value(self, column: Column[Any]) -> Any:
        number = next(_numbers)
        for key in column.foreign_keys:
            if key.column.table.name in self.values:
                return self.values[key.column.table.name][key.column.name]
        kind = column.type
        if isinstance(kind, Boolean):
            return True
        if isinstance(kind, Integer):
            return number
        if isinstance(kind, Id):
            return uuid7()
        if isinstance(kind, Time):
            return LONG_AGO + timedelta(seconds=number, microseconds=number + 1)
        if isinstance(kind, Times):
            return (LONG_AGO + timedelta(days=1, seconds=number),)
        if isinstance(kind, Words):
            return (f"canary{number}",)
        if isinstance(kind, Bytes):
            return hashlib.sha256(f"{column} {number}".encode()).digest()[: kind.most]
        return f"canary-{number}-{column.name}"[: getattr(kind, "most", None) or kind.length]  # type: ignore[attr-defined]


def everything(service: bootstrap.Service) -> Iterator[tuple[str, str, bytes]]:
    """Yield table, column and value of each value in the database, as bytes."""
    with service.parts.engine.connect() as connection:
        for table in metadata.sorted_tables:
            for row in connection.execute(select(table)):
                for column, value in zip(table.columns, row, strict=True):
                    yield from ((table.name, column.name, needle) for needle in _needles([value]))


def exported(lines: list[str]) -> dict[tuple[str, str], list[Any]]:
    """Return the values of an export by table and column."""
    found: dict[tuple[str, str], list[Any]] = {}
    for part in map(json.loads, lines[1:]):
        for row in part["rows"]:
            for name, value in row.items():
                found.setdefault((part["table"], name), []).append(value)
    return found


def _needles(values: Any) -> Iterator[bytes]:
    """Yield values as either database keeps them; numbers, which are found everywhere, are left out."""
    for value in values:
        match value:
            case bytes():
                yield value
            case str():
                yield value.encode()
            case datetime():
                yield value.replace(tzinfo=None).isoformat(" ", "microseconds").encode()
            case tuple() if value and isinstance(value[0], datetime):
                yield packed(value)
            case tuple():
                yield " ".join(value).encode()
            case int() | None:
                pass
            case _:
                yield value.bytes
