"""docs/threats.md and the tests say the same: no id that nothing explains, no check without a test."""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
SHOWN, MISSING = (ROOT / "docs" / "threats.md").read_text().split("\n## Not there yet\n")
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "clients").glob("*/README.md")]
ROWS: list[tuple[str, str]] = re.findall(r"^\| ([A-Z]\d+) \| .+ \| (.+) \|$", SHOWN, re.MULTILINE)
ID = r"[A-Z]\d{1,2}\b"


def ids_of(name: str) -> list[str]:
    """Return what the name of a test carries: D6 and S1 of `test_d6_s1_after_a_logout`."""
    ids = re.match(r"test_((?:[a-z]\d{1,2}_)+)", name)
    return ids[1].upper().split("_")[:-1] if ids else []


@cache
def texts() -> dict[str, str]:
    """Return every file of the tests, by its path below `tests/`."""
    return {path.relative_to(TESTS).as_posix(): path.read_text() for path in TESTS.rglob("*.py")}


@cache
def carried() -> dict[str, set[str]]:
    """Return the files with tests that carry an id, by the id."""
    files: dict[str, set[str]] = {}
    for path, text in texts().items():
        for name in re.findall(r"^ *(?:async )?def (test_\w+)", text, re.MULTILINE):
            for check in ids_of(name):
                files.setdefault(check, set()).add(path)
    return files


def mentioned() -> Iterator[tuple[str, str]]:
    """Yield each id with which a text of the tests begins or that it gives in brackets, and those of the vectors."""
    for path, text in texts().items():
        for ids in re.findall(rf'["(]({ID}(?:(?:,| and)? {ID})*)(?=[ :)"])', text):
            yield from ((check, path) for check in re.findall(ID, ids))
    for file in (ROOT / "clients" / "vectors").glob("*.json"):
        for checks in set(re.findall(r'"checks":\s*(\[[^\]]*\])', file.read_text())):
            yield from ((check, file.name) for check in json.loads(checks) if re.fullmatch(ID, check))


def test_a_name_carries_the_ids_at_its_beginning() -> None:
    assert ids_of("test_d6_s1_after_a_logout") == ["D6", "S1"]
    assert ids_of("test_s10_garbage_is_no_token") == ["S10"]
    assert ids_of("test_a_token_of_an_es256_key") == []


def test_every_id_that_a_test_carries_has_a_row() -> None:
    unexplained = {check: files for check, files in carried().items() if check not in dict(ROWS)}
    assert unexplained == {}, "say in docs/threats.md what they are about, and take them from what is not there yet"


@pytest.mark.parametrize(("check", "files"), ROWS, ids=[check for check, _ in ROWS])
def test_each_file_of_a_row_has_a_test_that_carries_its_id(check: str, files: str) -> None:
    named = re.findall(r"`(\S+)`", files)
    assert named
    assert [name for name in named if name not in carried().get(check, set())] == []


def test_each_id_stands_on_the_page_once_and_in_the_form_of_the_others() -> None:
    assert re.findall(rf"^\| *({ID})", SHOWN, re.MULTILINE) == [check for check, _ in ROWS]
    listed = [check for check, _ in ROWS] + re.findall(rf"\b{ID}", MISSING)
    assert sorted(listed) == sorted(set(listed))


def test_every_id_in_a_text_or_a_vector_has_a_row() -> None:
    found = list(mentioned())
    assert {"S2", "S5", "O4", "T11"} <= {check for check, _ in found}, "the search finds what is there"
    assert [(check, where) for check, where in found if check not in dict(ROWS)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_the_tests_that_a_page_names_are_there(page: Path) -> None:
    named = re.findall(r"`(tests/[\w./*-]+)", page.read_text())
    assert [name for name in named if not any(ROOT.glob(name.rstrip("/")))] == []
