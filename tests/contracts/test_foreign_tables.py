"""A table of another application is read a page at a time, whatever its key."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

from authservice.domain.user_import import ForeignUser
from authservice.storage.foreign_table import ForeignTable

ROWS = 2500
KEYS = {
    "a number": "id INTEGER PRIMARY KEY, username VARCHAR(64), password VARCHAR(64), tenant INTEGER",
    "a text": "id INTEGER, username VARCHAR(64) PRIMARY KEY, password VARCHAR(64), tenant INTEGER",
    "two columns": "id INTEGER, username VARCHAR(64), password VARCHAR(64), tenant INTEGER, PRIMARY KEY (tenant, id)",
    "none": "id INTEGER, username VARCHAR(64), password VARCHAR(64), tenant INTEGER",
}


@pytest.mark.parametrize("key", KEYS)
def test_each_row_of_a_foreign_table_is_read_once(
    backend: str, tmp_path: Path, new_mariadb_url: Callable[[], str], key: str
) -> None:
    url = make_url(f"sqlite:///{tmp_path / 'shop.db'}" if backend == "sqlite" else new_mariadb_url())
    url = url if backend == "sqlite" else url.set(drivername="mysql+pymysql")
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text(f"CREATE TABLE users ({KEYS[key]})"))
        rows = [{"id": n, "name": f"user{n}", "tenant": n % 7} for n in range(ROWS)]
        connection.execute(text("INSERT INTO users VALUES (:id, :name, 'hash', :tenant)"), rows)
    engine.dispose()
    table = ForeignTable(url, "users", ("username", "password", None))
    found = list(table.rows())
    assert table.count() == ROWS
    table.close()
    assert [row.number for row in found] == list(range(1, ROWS + 1))
    assert {row.user_name for row in found} == {f"user{n}" for n in range(ROWS)}
    assert found[0] == ForeignUser(1, found[0].user_name, "hash", "")
