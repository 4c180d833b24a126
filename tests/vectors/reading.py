"""Reads clients/vectors as a driver in any language does, and says each case in full."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "clients" / "vectors"


@dataclass(frozen=True)
class Vectors:
    """All cases. Nothing in them is a name any more: tokens are texts, rules and key sets stand where they are used."""

    issuer: str
    audience: str
    key_sets: dict[str, Any]
    key_set_cases: list[dict[str, Any]]
    rule_cases: list[dict[str, Any]]
    cases: list[dict[str, Any]]


def read_vectors(folder: Path = FOLDER) -> Vectors:
    """Return all cases. Raises OSError, ValueError or KeyError if a file, a case or a name is missing."""
    shared = Shared(_load(folder / "shared.json"))
    pages = [_page(folder / name, count) for name, count in shared.files.items()]
    if not pages:
        raise ValueError(f"{folder / 'shared.json'} names no file")
    return Vectors(
        shared.issuer,
        shared.audience,
        {name: shared.key_set(name) for name in shared.key_sets},
        [case | {"key_set": shared.key_set(case["key_set"])} for case in _cases(pages, "key_set_cases")],
        [case | {"rule": shared.rule(case["rule"])} for case in _cases(pages, "rule_cases")],
        [shared.case(case) for case in _cases(pages, "cases")],
    )


class Shared:
    """What has a name, and what goes for a case that does not say it."""

    def __init__(self, content: dict[str, Any]) -> None:
        self.issuer, self.audience, self.files = content["issuer"], content["audience"], content["files"]
        self.key_sets = content["key_sets"]
        self._content = content

    def case(self, said: dict[str, Any]) -> dict[str, Any]:
        """Return a case about a call in full."""
        case: dict[str, Any] = self._content["defaults"] | said
        case |= {"expect": self._named("outcomes", case["expect"]), "rule": self.rule(case["rule"])}
        if "verify" in case:
            case["verify"] = self._named("answers", case["verify"])
        if "token" in case:
            case["token"] = self.text(case["token"])
        if "metadata" in case:
            case["metadata"] = [[key, self.text(value)] for key, value in case["metadata"]]
        return case

    def text(self, said: Any) -> str:
        """Return a text that may be said by name, with a bit inverted, repeated or in pieces."""
        match said:
            case str():
                return said
            case list():
                return "".join(map(self.text, said))
            case {"repeat": text, "times": times}:
                return str(text) * int(times)
            case {"name": name, "flip": bit}:
                return _with_inverted(self.text(self._content["texts"][name]), bit)
            case {"name": name}:
                return self.text(self._content["texts"][name])
        raise ValueError(f"{said} is no text")

    def key_set(self, said: Any) -> Any:
        """Return a KeySet."""
        key_set = self._named("key_sets", said)
        return (
            key_set | {"keys": [self._named("keys", key) for key in key_set["keys"]]} if "keys" in key_set else key_set
        )

    def rule(self, said: Any) -> Any:
        """Return a Rule, or None."""
        return self._named("rules", said)

    def _named(self, kind: str, said: Any) -> Any:
        return self._content[kind][said] if isinstance(said, str) else said


def _load(path: Path) -> Any:
    return json.loads(path.read_text(encoding="ascii"))


def _page(path: Path, count: int) -> Any:
    page = _load(path)
    found = sum(len(cases) for cases in page.values() if isinstance(cases, list))
    if found != count or not count:
        raise ValueError(f"{path} holds {found} cases, and {count} were written")
    return page


def _cases(pages: list[Any], kind: str) -> Iterator[dict[str, Any]]:
    return (case for page in pages for case in page.get(kind, []))


def _with_inverted(text: str, bit: int) -> str:
    inverted = bytearray(text, "latin-1")
    inverted[bit // 8] ^= 1 << bit % 8
    return inverted.decode("latin-1")
