"""What all tables have in common."""

from typing import Any

from sqlalchemy import MetaData

# SQLite keeps rows in the order of their primary key, as InnoDB does: one look-up in place of two. Charset and
# collation stand in the DDL, because servers default to latin1 or to collations that fold.
OPTIONS: dict[str, Any] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
    "sqlite_with_rowid": False,
}

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
    }
)
