"""Whether the book is complete and speaks the form that docs/local-verification.md gives. Judges no token.

The messages are parsed with the generated stubs, so that a misspelt field is noticed here and not in another language.
"""

from collections import Counter
from typing import Any

from authapi.v1.auth_service_pb2 import Identity
from authapi.v1.error_reason_pb2 import ErrorReason
from authapi.v1.rule_pb2 import Rule
from authapi.v1.trust_service_pb2 import KeySet, Revocation
from google.protobuf.json_format import MessageToDict, ParseDict

from tests.vectors.book import STATUSES, Book

CHECKS = {f"T{number}" for number in range(1, 12)}
MEMBERS = {
    "name",
    "checks",
    "now",
    "keys",
    "key_age",
    "view_age",
    "revocations",
    "rule",
    "token",
    "metadata",
    "verify",
    "expect",
}


def check(book: Book) -> None:
    """Raise AssertionError where something is missing, doubled or malformed."""
    names = Counter(case["name"] for case in [*book.cases, *book.key_set_cases, *book.rule_cases])
    assert not (doubled := [name for name, count in names.items() if count > 1]), doubled
    _check_settings(book)
    _check_messages(book)
    _check_coverage(book)


def _check_settings(book: Book) -> None:
    for case in book.cases:
        assert case.keys() <= MEMBERS, case
        assert not ("token" in case and "metadata" in case), case["name"]
        assert case["keys"] is None or case["keys"] in book.key_sets, case["name"]
        assert case["view_age"] is not None or not case.get("revocations"), case["name"]
        expect = case["expect"]
        reason = expect.get("reason")
        assert expect["status"] == ("OK" if reason is None else STATUSES[reason]), case["name"]
        sent = case.get("token")
        if isinstance(sent, dict) and "name" in sent:
            assert sent.get("flip", 0) < len(book.texts[sent["name"]]) * 8
        if case["checks"][0] == "T6":
            assert sent not in book.texts.values() or expect["status"] == "OK", case["name"]


def _check_messages(book: Book) -> None:
    for case in book.key_set_cases:
        ParseDict(case["key_set"], KeySet())
    for key_set in book.key_sets.values():
        ParseDict(key_set, KeySet())
    for case in book.rule_cases:
        ParseDict(case["rule"], Rule())
    for case in book.cases:
        for revocation in case.get("revocations", []):
            _round_trip(revocation, Revocation())
        if "identity" in case.get("verify", {}):
            ParseDict(case["verify"]["identity"], Identity())


def _round_trip(written: dict[str, Any], message: Any) -> None:
    assert MessageToDict(ParseDict(written, message)) == written


def _check_coverage(book: Book) -> None:
    numbers = ErrorReason.DESCRIPTOR.values_by_name
    assert {f"ERROR_REASON_{reason}" for reason in STATUSES} <= set(numbers)
    reasons = {case["expect"].get("reason") for case in book.cases}
    assert set(STATUSES) <= reasons, set(STATUSES) - reasons
    observed = {case["expect"].get("observed") for case in book.cases}
    # METHOD_WITHOUT_RULE is never observed: without a good rule nothing says that somebody wanted to observe.
    assert set(STATUSES) - {"METHOD_WITHOUT_RULE"} <= observed, set(STATUSES) - observed
    fields = {field.json_name for field in Rule.DESCRIPTOR.fields}
    for outcome in (True, False):
        named = {name for case in book.rule_cases if case["accepted"] is outcome for name in case["rule"]}
        assert fields <= named, fields - named
    used = {name for case in book.cases for name in case["rule"] or {}}
    assert fields <= used, fields - used
    checks = {check for case in book.cases for check in case["checks"]}
    assert checks >= CHECKS, CHECKS - checks
    assert {case["keys"] for case in book.cases} >= {None, *book.key_sets}, "a key set that no case uses"
