"""Says by its name what has one and leaves out what is usual, so that a line shows what its case is about.

Changes nothing of what a case means: tests/vectors/test_vectors.py reads the files back and compares.
"""

from collections.abc import Mapping
from typing import Any, TypeAlias

from tests.vectors.answers import ANSWERS, UNAVAILABLE, identity, refused
from tests.vectors.book import AUTHENTICATED, NOW, STATUSES, USER, Book
from tests.vectors.callers import ALL

Named: TypeAlias = Mapping[str, Any]

DEFAULTS = {"now": NOW, "keys": "own", "view_age": 0, "rule": "authenticated"}
"""What goes for a case that does not say it."""
RULES: Named = {
    "authenticated": AUTHENTICATED,
    "authenticated, observed": AUTHENTICATED | {"observe": True},
    "everything": ALL,
    "everything, observed": ALL | {"observe": True},
}
OUTCOMES: Named = {
    "accepted": {"status": "OK", "user_id": USER},
    "accepted without an identity": {"status": "OK"},
    "malformed entry": {"status": "UNAUTHENTICATED", "reason": "TOKEN_INVALID", "words": "TOKEN_MISSING"},
} | {reason: {"status": status, "reason": reason} for reason, status in STATUSES.items()}
ANSWERS_OF_VERIFY: Named = {"accepted": identity(), "UNAVAILABLE": UNAVAILABLE} | {
    reason: refused(reason) for reason in ANSWERS
}
ORDER = (
    "name", "checks", "expect", "now", "keys", "key_age", "view_age", "rule", "verify", "revocations", "token",
    "metadata",
)  # fmt: skip
"""Of the members of a case: what a reader looks for first stands first, what is long last."""


def call_case(case: dict[str, Any], book: Book) -> dict[str, Any]:
    """Return a case about a call as its file has it."""
    said = case | {"expect": _name(case["expect"], OUTCOMES), "rule": _name(case["rule"], RULES)}
    if "verify" in case:
        said["verify"] = _name(case["verify"], ANSWERS_OF_VERIFY)
    if isinstance(case.get("token"), str):
        said["token"] = text(case["token"], book.texts)
    if "metadata" in case:
        said["metadata"] = [[key, text(value, book.texts)] for key, value in case["metadata"]]
    return {member: said[member] for member in ORDER if member in said and said[member] != DEFAULTS.get(member, ...)}


def key_set(value: Any, book: Book) -> Any:
    """Return a key set with names for its keys."""
    if "keys" not in value:
        return value
    return value | {"keys": [_name(key, book.keys) for key in value["keys"]]}


def key_set_case(case: dict[str, Any], book: Book) -> dict[str, Any]:
    """Return a case about a key set as its file has it."""
    said = _name(case["key_set"], book.key_sets)
    return _judged(case) | {"key_set": said if isinstance(said, str) else key_set(said, book)}


def rule_case(case: dict[str, Any]) -> dict[str, Any]:
    """Return a case about a rule as its file has it."""
    return _judged(case) | {"rule": _name(case["rule"], RULES)}


def text(whole: str, names: Mapping[str, str]) -> Any:
    """Return a text, or the pieces of which it is put together where it holds texts that have names."""
    pieces = _pieces(whole, sorted(names.items(), key=lambda item: -len(item[1])))
    return pieces[0] if len(pieces) == 1 else pieces


def _pieces(whole: str, names: list[tuple[str, str]]) -> list[Any]:
    for name, part in names:
        if part in whole:
            before, _, after = whole.partition(part)
            around = [_pieces(side, names) if side else [] for side in (before, after)]
            return [*around[0], {"name": name}, *around[1]]
    return [whole]


def _name(value: Any, names: Named) -> Any:
    return next((name for name, named in names.items() if named == value), value)


def _judged(case: dict[str, Any]) -> dict[str, Any]:
    return {"name": case["name"], "accepted": case["accepted"]}
