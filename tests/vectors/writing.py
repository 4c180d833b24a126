"""Collects the cases of all modules and turns them into the texts of the files."""

import json
import sys
from dataclasses import asdict
from typing import Any

from authclient._wire import refusals

from tests.vectors import naming
from tests.vectors.book import AUDIENCE, ISSUER, Book, Page
from tests.vectors.callers import add_callers
from tests.vectors.calls import add_calls
from tests.vectors.check import check
from tests.vectors.claims import add_claims
from tests.vectors.freshness import add_freshness
from tests.vectors.headers import add_headers
from tests.vectors.key_sets import add_key_sets
from tests.vectors.observing import add_observing
from tests.vectors.revocations import add_revocations
from tests.vectors.rules import add_rules
from tests.vectors.signatures import add_signatures
from tests.vectors.spellings import add_spellings

WRITERS = (
    add_key_sets,
    add_signatures,
    add_headers,
    add_claims,
    add_spellings,
    add_calls,
    add_revocations,
    add_freshness,
    add_rules,
    add_callers,
    add_observing,
)


def collected() -> Book:
    """Return the complete book: one page for each module, in this order."""
    book = Book()
    for add in WRITERS:
        about = sys.modules[add.__module__].__doc__ or ""
        book.begin(add.__module__.rpartition(".")[2], about.splitlines()[0])
        add(book)
    check(book)
    return book


def files_of(book: Book) -> dict[str, str]:
    """Return the text of each file by its name."""
    pages = {f"{name}.json": _page(page, book) for name, page in book.pages.items()}
    files = {"shared.json": _shared(book)} | pages | {"refusals.json": _refusals()}
    return {name: _text(content) for name, content in files.items()}


def _page(page: Page, book: Book) -> dict[str, Any]:
    lists = {
        "key_set_cases": [naming.key_set_case(case, book) for case in page.key_set_cases],
        "rule_cases": [naming.rule_case(case) for case in page.rule_cases],
        "cases": [naming.call_case(case, book) for case in page.cases],
    }
    return {"about": page.about} | {name: cases for name, cases in lists.items() if cases}


def _shared(book: Book) -> dict[str, Any]:
    def without(name: str) -> dict[str, str]:
        return {other: text for other, text in book.texts.items() if other != name}

    return {
        "issuer": ISSUER,
        "audience": AUDIENCE,
        "files": {f"{name}.json": _size(page) for name, page in book.pages.items()},
        "defaults": naming.DEFAULTS,
        "outcomes": naming.OUTCOMES,
        "answers": naming.ANSWERS_OF_VERIFY,
        "rules": naming.RULES,
        "texts": {name: naming.text(text, without(name)) for name, text in book.texts.items()},
        "keys": book.keys,
        "key_sets": {name: naming.key_set(value, book) for name, value in book.key_sets.items()},
    }


def _size(page: Page) -> int:
    return sum(len(cases) for cases in asdict(page).values() if isinstance(cases, list))


def _refusals() -> dict[str, Any]:
    """Return the status and the words of each reason."""
    return {reason: [code.name, text] for reason, (code, text) in refusals._REASONS.items()}


def _text(content: dict[str, Any]) -> str:
    """Return JSON with one case, or one named thing, a line. ASCII, so that no editor can change a character of it."""
    return "{\n" + ",\n".join(f"{json.dumps(name)}: {_lines(value)}" for name, value in content.items()) + "\n}\n"


def _lines(value: Any) -> str:
    match value:
        case [list() | dict(), *_]:
            return "[\n" + ",\n".join(json.dumps(each) for each in value) + "\n]"
        case dict():
            return "{\n" + ",\n".join(f"{json.dumps(name)}: {json.dumps(each)}" for name, each in value.items()) + "\n}"
        case _:
            return json.dumps(value)
