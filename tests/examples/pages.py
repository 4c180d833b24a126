"""What stands in the pages of the documentation, for the tests that run it."""

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
(
    ACCOUNTS,
    BESIDE,
    ERRORS,
    GO_PAGE,
    OPERATIONS,
    PRIVACY,
    PROTECT,
    RELEASING,
    RULES,
    TEST,
    THREATS,
    TOKENS,
    TYPESCRIPT_PAGE,
) = (
    ROOT / "docs" / f"{name}.md"
    for name in (
        "accounts",
        "beside-others",
        "errors",
        "go",
        "operations",
        "privacy",
        "protect-a-service",
        "releasing",
        "rules",
        "test-a-service",
        "threats",
        "tokens",
        "typescript",
    )
)
GO_README, TYPESCRIPT_README = (ROOT / "clients" / name / "README.md" for name in ("go", "typescript"))
PAGES = [path for folder in (".", "docs", "clients/*") for path in sorted(ROOT.glob(f"{folder}/*.md"))]

_BLOCK = re.compile(r"^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^(?P=indent)```$", re.DOTALL | re.MULTILINE)
_NAMED = re.compile(r"# (\w+\.py)\n")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page, without its fence and without the indentation of the list it is in."""

    page: Path
    language: str
    text: str

    @property
    def name(self) -> str | None:
        """Of a listing that begins with the name of its file, this name."""
        named = _NAMED.match(self.text) if self.language == "python" else None
        return named[1] if named else None

    def has(self, language: str, *parts: str) -> bool:
        """Tell whether it is in this language and has these parts."""
        return self.language == language and all(part in self.text for part in parts)


def blocks(page: Path) -> list[Block]:
    """Return all blocks of a page, in order."""
    return [
        Block(page, found["language"], textwrap.dedent(found["text"])) for found in _BLOCK.finditer(page.read_text())
    ]


def block(page: Path, language: str, *parts: str) -> str:
    """Return the one block of a page that is in this language and has these parts.

    Call it with one of the pages above and with texts as they are: `test_listings.py` reads from the calls which blocks
    some test has a use for.
    """
    found = [each.text for each in blocks(page) if each.has(language, *parts)]
    assert len(found) == 1, f"{len(found)} blocks of {page.name} have {parts}"
    return found[0]


def named_blocks(page: Path) -> dict[str, str]:
    """Return the listings of a page that begin with the name of their file, by this name."""
    return {each.name: each.text for each in blocks(page) if each.name}
