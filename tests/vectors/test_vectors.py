"""The files in clients/vectors are those that this package writes, and say all that it says."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.vectors.book import Book
from tests.vectors.reading import FOLDER, Shared, read_vectors
from tests.vectors.writing import collected, files_of

BY_HAND = {"schema.json", "settings.json"}


@pytest.fixture(scope="module")
def book() -> Book:
    return collected()


@pytest.fixture(scope="module")
def written(book: Book) -> dict[str, str]:
    return files_of(book)


def test_each_file_is_up_to_date_and_there_is_no_other(written: dict[str, str]) -> None:
    committed = {path.name: path.read_text(encoding="ascii") for path in FOLDER.glob("*.json")}
    stale = [name for name in written if committed.get(name) != written[name]]
    assert not stale, "run `python -m tests.vectors`"
    assert committed.keys() == written.keys() | BY_HAND


def test_the_files_come_out_the_same_each_time(written: dict[str, str]) -> None:
    assert files_of(collected()) == written


def test_who_reads_the_files_finds_the_cases_that_were_written(book: Book) -> None:
    found, shared = read_vectors(), Shared(json.loads((FOLDER / "shared.json").read_text(encoding="ascii")))
    assert found.key_sets == book.key_sets
    assert found.key_set_cases == book.key_set_cases
    assert found.rule_cases == book.rule_cases
    assert found.cases == [
        case | ({"token": shared.text(case["token"])} if "token" in case else {}) for case in book.cases
    ]


def test_each_case_and_each_shared_thing_stands_on_a_line_of_its_own(written: dict[str, str]) -> None:
    for name, text in written.items():
        for line in text.splitlines():
            content = line.rstrip(",")
            if content.startswith("{") and content != "{":
                assert "name" in json.loads(content), name
    cases = sum(line.startswith('{"name": ') for text in written.values() for line in text.splitlines())
    assert cases == len(read_vectors().key_set_cases + read_vectors().rule_cases + read_vectors().cases)


def test_what_has_a_name_is_used_under_it(written: dict[str, str]) -> None:
    shared = json.loads(written["shared.json"])
    everything = [json.loads(text) for text in written.values()]
    said = [text for content in everything for text in _texts_in(content)]
    for kind in ("outcomes", "answers", "rules", "keys"):
        assert set(shared[kind]) <= set(said), kind
    assert {each["name"] for content in everything for each in _references_in(content)} == set(shared["texts"])


@pytest.mark.parametrize("damage", ["a file is gone", "a case is gone", "all cases are gone", "a name is unknown"])
def test_who_reads_damaged_files_is_told(damage: str, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(FOLDER, tmp_path / "vectors"))
    file = folder / "calls.json"
    content = json.loads(file.read_text(encoding="ascii"))
    match damage:
        case "a file is gone":
            file.unlink()
        case "a case is gone":
            file.write_text(json.dumps(content | {"cases": content["cases"][1:]}))
        case "all cases are gone":
            file.write_text(json.dumps({"about": content["about"]}))
        case _:
            content["cases"][0]["expect"] = "acepted"
            file.write_text(json.dumps(content))
    with pytest.raises((OSError, ValueError, KeyError)):
        read_vectors(folder)


def _texts_in(content: Any) -> Iterator[str]:
    match content:
        case str():
            yield content
        case list() | dict():
            for each in content.values() if isinstance(content, dict) else content:
                yield from _texts_in(each)


def _references_in(content: Any) -> Iterator[dict[str, Any]]:
    """Yield each {"name": …} that stands for a text."""
    match content:
        case {"name": _} if content.keys() <= {"name", "flip"}:
            yield content
        case list() | dict():
            for each in content.values() if isinstance(content, dict) else content:
                yield from _references_in(each)
