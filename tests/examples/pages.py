"""What stands in the pages of the documentation."""

import re
from pathlib import Path


def block(page: Path, language: str, *parts: str) -> str:
    """Return the one block of a page that is in this language and has these parts."""
    found = [text for text in blocks(page, language) if all(part in text for part in parts)]
    assert len(found) == 1, f"{len(found)} blocks of {page.name} have {parts}"
    return found[0]


def blocks(page: Path, language: str) -> list[str]:
    """Return the blocks of a page in this language, in their order."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)
    return [str(text) for kind, text in found if kind == language]
