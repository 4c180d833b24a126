"""What stands in the pages of the documentation."""

import re
from pathlib import Path


def block(page: Path, language: str, *parts: str) -> str:
    """Return the one block of a page that is in this language and has these parts."""
    found = [
        text
        for kind, text in re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)
        if kind == language and all(part in text for part in parts)
    ]
    assert len(found) == 1, f"{len(found)} blocks of {page.name} have {parts}"
    return str(found[0])
