r"""What a `.env` file says, read as the Node application's `dotenv` reads it, so that one file means the same to both.

A value may stand in `'`, `"` or a backquote, and over several lines then. Without them it ends at the first `#`. In
`"`, `\n` and `\r` are ends of lines; nothing else is replaced, `${NAME}` neither. A quote with anything but a comment
behind it is part of the value. Of several statements with one name the last counts.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_SPACE = r"[\t-\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff]"
"""White space as JavaScript has it, in which `dotenv` is written."""
_STATEMENT = re.compile(
    rf"""
    ^{_SPACE}* (?:export{_SPACE}+)?
    (?P<name>[A-Za-z0-9_.-]+)
    (?: {_SPACE}*= | :{_SPACE} )
    (?P<value> {_SPACE}* (?: '(?:\\'|[^'])*' | "(?:\\"|[^"])*" | `(?:\\`|[^`])*` ) | [^\#\n]+ )?
    {_SPACE}* (?P<comment>\#.*)? $
    """,
    re.MULTILINE | re.VERBOSE,
)
_QUOTES = ("'", '"', "`")
_SPACES = re.compile(rf"^{_SPACE}+|{_SPACE}+\Z")
_WORD = re.compile(r"\w[^\s'\"]*")


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement of a `.env` file, or a line that is none.

    Attributes:
        line: where it begins, from 1.
        name: of a line that is no statement all of it, if it is one word, and None otherwise.
        value: None where nothing is stated.
        is_cut: whether the value ends at a `#` that may have been meant as part of it.
    """

    line: int
    name: str | None = None
    value: str | None = field(default=None, repr=False)
    is_cut: bool = False


def read(text: str) -> Iterator[Statement]:
    """Yield the statements of a file, in order, and what stands between them and is no comment."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    end = 0
    for found in _STATEMENT.finditer(text):
        yield from _others(text, end, found.start())
        written = found["value"] or ""
        line = text.count("\n", 0, found.start("name")) + 1
        yield Statement(line, found["name"], _meant(written), is_cut=_is_cut(written, found["comment"]))
        end = found.end()
    yield from _others(text, end, len(text))


def _meant(written: str) -> str:
    """Return the value that is meant by what is written behind a name."""
    value = _SPACES.sub("", written)
    quote = value[:1]
    if len(value) > 1 and quote in _QUOTES and value.endswith(quote):
        value = value[1:-1]
    return value.replace(r"\n", "\n").replace(r"\r", "\r") if quote == '"' else value


def _is_cut(written: str, comment: str | None) -> bool:
    value = _SPACES.sub("", written)
    return bool(comment and value and written.endswith(value[-1]) and value[0] not in _QUOTES)


def _others(text: str, begin: int, end: int) -> Iterator[Statement]:
    line = text.count("\n", 0, begin) + 1
    for number, each in enumerate(text[begin:end].split("\n"), line):
        rest = each.strip()
        if rest and not rest.startswith("#"):
            yield Statement(number, rest if _WORD.fullmatch(rest) else None)
