"""Every column of every table is classified: what a new one needs before anything else passes."""

import re

import pytest
from sqlalchemy import Table

from authservice.storage.tables import metadata
from authservice.storage.tables.auth import users
from authservice.storage.tables.held import HELD, Kind, of_people
from tests.contract import ROOT

WHERE = "name it in HELD of authservice/storage/tables/held.py, and give it a row in docs/privacy.md"
each_table = pytest.mark.parametrize("table", metadata.sorted_tables, ids=lambda table: table.name)


def kinds_of(name: str) -> dict[str, Kind]:
    return dict(HELD[name].kinds())


def test_l6_nothing_is_classified_that_is_not_there() -> None:
    assert HELD.keys() == metadata.tables.keys(), WHERE


@each_table
def test_l6_every_column_is_classified_once(table: Table) -> None:
    named = [name for name, _ in HELD[table.name].kinds()]
    assert sorted(named) == sorted(column.name for column in table.columns), WHERE


@each_table
def test_l7_what_says_something_about_a_person_can_be_found_by_that_person(table: Table) -> None:
    held = HELD[table.name]
    about_people = set(kinds_of(table.name).values()) & {Kind.PERSONAL, Kind.SECRET}
    assert not about_people or held.by, f"{table.name} needs a column that says whose its rows are"
    owners = {key.parent.name for key in table.foreign_keys if key.column is users.c.id}
    assert owners <= {held.by}, f"{table.name} is somebody's by {owners}"


@pytest.mark.parametrize("table", of_people(), ids=lambda table: table.name)
def test_l6_rows_of_one_person_are_told_apart_by_one_column(table: Table) -> None:
    rest = [column for column in table.primary_key.columns if column is not of_people()[table]]
    assert len(rest) <= 1, "see storage/auth/personal_data.py"


def test_l6_the_page_about_privacy_has_every_column_with_its_kind() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| (personal|secret|pseudonym|of the service) \| ([^|]+) \|",
        (ROOT / "docs/privacy.md").read_text(),
        re.MULTILINE,
    )
    said = {(table, column): kind for table, kind, columns in rows for column in re.findall(r"`(\w+)`", columns)}
    assert said == {(table, name): kind.value for table in HELD for name, kind in HELD[table].kinds()}, WHERE
