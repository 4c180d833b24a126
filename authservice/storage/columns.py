"""Column types that mean the same on every backend.

MariaDB's text collations pad and fold (`admin` = `admin␠` even under utf8mb4_bin), and SQLite's fold ASCII only, so
whatever decides identity is bytes: ids, hashes, canonical names and addresses.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, Dialect, Integer, LargeBinary, Unicode
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeDecorator, TypeEngine


class Id(TypeDecorator[UUID]):
    """A UUID in 16 bytes."""

    impl = LargeBinary
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(mysql.BINARY(16) if dialect.name == "mysql" else LargeBinary(16))

    def process_bind_param(self, value: UUID | None, dialect: Dialect) -> bytes | None:
        return value.bytes if value is not None else None

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> UUID | None:
        return UUID(bytes=value) if value is not None else None


class _Bounded:
    """What columns of up to `most` bytes have in common. To be mixed into a TypeDecorator."""

    def __init__(self, most: int) -> None:
        super().__init__(most)  # type: ignore[call-arg]  # the decorator's
        self.most = most

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(
            mysql.VARBINARY(self.most) if dialect.name == "mysql" else LargeBinary(self.most)
        )


class Bytes(_Bounded, TypeDecorator[bytes]):
    """Up to `most` bytes, compared byte by byte."""

    impl = LargeBinary
    cache_ok = True


class Key(_Bounded, TypeDecorator[str]):
    """Text that identifies something, kept as up to `most` bytes of UTF-8, compared byte by byte."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> bytes | None:
        return value.encode() if value is not None else None

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> str | None:
        return value.decode() if value is not None else None


class Time(TypeDecorator[datetime]):
    """A moment in UTC, to the microsecond. Naive datetimes are refused: they are somebody's local time."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(mysql.DATETIME(fsp=6) if dialect.name == "mysql" else DateTime())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a time zone")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.replace(tzinfo=UTC) if value is not None else None


class Times(_Bounded, TypeDecorator[tuple[datetime, ...]]):
    """Several moments in up to `most` bytes: microseconds since the epoch, eight bytes each."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: tuple[datetime, ...] | None, dialect: Dialect) -> bytes | None:
        return packed(value) if value else None

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> tuple[datetime, ...]:
        return unpacked(value)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def packed(moments: Iterable[datetime]) -> bytes:
    """Return moments as a Times column keeps them."""
    return b"".join(((moment - _EPOCH) // _MICROSECOND).to_bytes(8) for moment in moments)


def unpacked(value: bytes | None) -> tuple[datetime, ...]:
    """Return the moments that a Times column keeps."""
    parts = (value[at : at + 8] for at in range(0, len(value), 8)) if value else ()
    return tuple(_EPOCH + int.from_bytes(part) * _MICROSECOND for part in parts)


class Words(_Bounded, TypeDecorator[tuple[str, ...]]):
    """Several names in up to `most` bytes, with a space between them; NULL for none."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: tuple[str, ...] | None, dialect: Dialect) -> bytes | None:
        return " ".join(value).encode() if value else None

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> tuple[str, ...]:
        return tuple(value.decode().split()) if value else ()


class Keys(TypeDecorator[tuple[str, ...]]):
    """Several Key values of a subquery in one, put together with a space between them; NULL if there are none."""

    impl = LargeBinary
    cache_ok = True

    def process_result_value(self, value: bytes | str | None, dialect: Dialect) -> tuple[str, ...]:
        # SQLite makes text of what it puts together.
        return tuple(sorted((value.decode() if isinstance(value, bytes) else value or "").split()))


Number = BigInteger().with_variant(Integer(), "sqlite")
"""A number that the database counts up. SQLite does so for the type INTEGER only."""


def text(most: int) -> Unicode:
    """Return the type of text that people read and nothing compares, of up to `most` code points."""
    return Unicode(most)
