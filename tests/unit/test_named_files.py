"""The files that a page speaks of are there, so that whoever follows it finds them."""

import re
from pathlib import Path

import pytest

from tests.contract import ROOT

PAGES = [ROOT / "docs/architecture.md", ROOT / "README.md"]
_NAMED = re.compile(r"(?<![\w/.-])(?:[\w-]+/)+[\w-]+\.py\b")
FILES = {
    f"/{path.relative_to(ROOT)}"
    for folder in ("authservice", "clients/python", "examples", "tests")
    for path in (ROOT / folder).rglob("*.py")
}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_names_no_file_that_is_not_there(page: Path) -> None:
    named = set(_NAMED.findall(page.read_text()))
    assert len(named) > 3, "they are found"
    missing = {name for name in named if not any(file.endswith(f"/{name}") for file in FILES)}
    assert not missing
