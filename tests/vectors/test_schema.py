"""Each file in clients/vectors has the form that schema.json gives, and that form is narrow."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from tests.vectors.reading import FOLDER

SCHEMA = json.loads((FOLDER / "schema.json").read_text(encoding="ascii"))
FILES = {
    path.name: json.loads(path.read_text(encoding="ascii"))
    for path in FOLDER.glob("*.json")
    if path.name != "schema.json"
}
FORM = Draft202012Validator(SCHEMA)


def wrong(files: Any) -> str:
    """Return where the files differ from their form, or an empty text."""
    error = best_match(FORM.iter_errors(files))
    return f"{error.json_path}: {error.message[:300]}" if error else ""


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)


def test_every_file_has_its_form() -> None:
    assert not wrong(FILES)


def few() -> Any:
    """Return the files with a few cases each, which are quickly copied and checked."""
    few = {name: {kind: part[:3] if isinstance(part, list) else part for kind, part in content.items()}
           for name, content in FILES.items() if name not in ("refusals.json", "settings.json")}  # fmt: skip
    return copy.deepcopy(FILES | few)


DAMAGE: dict[str, Callable[[Any], object]] = {
    "no shared file": lambda files: files.pop("shared.json"),
    "no words of refusals": lambda files: files.pop("refusals.json"),
    "a page without cases": lambda files: files["calls.json"].pop("cases"),
    "an empty list of cases": lambda files: files["calls.json"]["cases"].clear(),
    "an unknown list": lambda files: files["calls.json"].update(more=[]),
    "a case without a name": lambda files: files["calls.json"]["cases"][0].pop("name"),
    "a case that expects nothing": lambda files: files["calls.json"]["cases"][0].pop("expect"),
    "a case about nothing": lambda files: files["calls.json"]["cases"][0]["checks"].clear(),
    "an unknown check": lambda files: files["calls.json"]["cases"][0].update(checks=["T12"]),
    "a misspelt member": lambda files: files["calls.json"]["cases"][0].update(viewAge=0),
    "a time in words": lambda files: files["calls.json"]["cases"][0].update(now="today"),
    "an age below zero": lambda files: files["calls.json"]["cases"][0].update(view_age=-1),
    "a misspelt field of a rule": lambda files: files["calls.json"]["cases"][0].update(rule={"any_role": ["a"]}),
    "a token and metadata": lambda files: files["calls.json"]["cases"][1].update(token="x"),
    "a piece that is a number": lambda files: files["calls.json"]["cases"][0].update(token=["x", 1]),
    "a refusal without a reason": lambda files: files["calls.json"]["cases"][0].update(
        expect={"status": "UNAUTHENTICATED"}
    ),
    "a refusal with a caller": lambda files: files["shared.json"]["outcomes"]["TOKEN_MISSING"].update(user_id="x"),
    "a call that passes, in words": lambda files: files["shared.json"]["outcomes"]["accepted"].update(
        words="TOKEN_MISSING"
    ),
    "a revocation of nobody": lambda files: files["revocations.json"]["cases"][0]["revocations"][0].pop("sessionId"),
    "a key with an unknown field": lambda files: files["shared.json"]["keys"]["own ES256"].update(use="sig"),
    "a setting without a default": lambda files: files["settings.json"]["settings"][0].pop("default"),
    "no setting": lambda files: files["settings.json"]["settings"].clear(),
    "a count of zero": lambda files: files["shared.json"]["files"].update({"calls.json": 0}),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_the_schema_refuses(what: str) -> None:
    files = few()
    assert not wrong(files)
    DAMAGE[what](files)
    assert wrong(files)
