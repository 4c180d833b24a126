"""Collects the cases of all modules and turns them into the text of the file."""

import json

from authclient._wire import refusals

from tests.vectors.book import AUDIENCE, ISSUER, Book
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
    """Return the complete book. The order of its cases is that of the modules."""
    book = Book()
    for add in WRITERS:
        add(book)
    check(book)
    return book


def text_of(book: Book) -> str:
    """Return the file: ASCII, so that no editor and no reader can change a character of it."""
    content = {
        "issuer": ISSUER,
        "audience": AUDIENCE,
        "key_sets": book.key_sets,
        "tokens": book.tokens,
        "key_set_cases": book.key_set_cases,
        "rule_cases": book.rule_cases,
        "cases": book.cases,
    }
    return json.dumps(content, indent=1, sort_keys=True) + "\n"


def refusal_texts() -> str:
    """Return the status and the words of each reason, as JSON."""
    texts = {reason: [code.name, text] for reason, (code, text) in refusals._REASONS.items()}
    return json.dumps(texts, indent=2) + "\n"
