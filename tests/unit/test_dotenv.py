"""A `.env` file means here what it means to the Node application: held against what npm's `dotenv` said."""

import json
from pathlib import Path
from typing import Any

import pytest

from authservice.config.dotenv import read
from authservice.config.variables import in_file

CASES = json.loads((Path(__file__).parents[1] / "dotenv/cases.json").read_text())["cases"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_text_says_what_it_says_to_the_node_application(case: dict[str, Any], tmp_path: Path) -> None:
    said = {str(one.name): one.value for one in read(case["text"]) if one.value is not None}
    assert said == case["says"]
    (tmp_path / ".env").write_bytes(case["text"].encode())
    assert in_file(tmp_path / ".env") == {name.upper(): value for name, value in said.items() if value}


def test_there_are_enough_cases_and_each_has_an_answer() -> None:
    assert len({case["name"] for case in CASES}) == len(CASES) >= 30
    assert all("says" in case for case in CASES), "run tests/dotenv/record.sh"


def test_each_statement_is_told_with_its_line_and_without_its_value() -> None:
    found = list(read("# one\nA='canary\ncanary'\n\nB=canary\nno canary\nWORD\n"))
    assert [(one.line, one.name) for one in found] == [(2, "A"), (5, "B"), (6, None), (7, "WORD")]
    assert "canary" not in repr(found)


@pytest.mark.parametrize(
    ("line", "is_cut"),
    [("A=b#c", True), ("A=b #c", False), ("A=#c", False), ("A='b#c'", False), ("A='b'#c", False), ("A= b#c", True)],
)
def test_a_value_that_ends_at_a_hash_inside_of_a_word_is_noticed(line: str, is_cut: bool) -> None:
    assert [one.is_cut for one in read(line)] == [is_cut]
