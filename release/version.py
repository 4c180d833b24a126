"""The version stands in pyproject.toml. Where else it has to stand it is written from there: `make version`."""

import re
import tomllib
from pathlib import Path

_NUMBER = r"\d+\.\d+\.\d+"
_NPM = r'(?<="name": "authservice-client",\n{indent}"version": ")' + _NUMBER
PLACES = {
    "clients/typescript/package.json": [_NPM.format(indent="  ")],
    "clients/typescript/package-lock.json": [_NPM.format(indent="  "), _NPM.format(indent="      ")],
    "clients/typescript/README.md": [rf"(?<=authservice-client-){_NUMBER}(?=\.tgz)"],
    "docs/typescript.md": [rf"(?<=authservice-client-){_NUMBER}(?=\.tgz)"],
}
"""What finds it in each file. Go takes the version of a module from its tag."""


def version_of(root: Path) -> str:
    """Return the version of the project in this folder, as 1.2.3."""
    return str(tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"])


def stale_places(root: Path) -> list[str]:
    """Return the files that say another version, or none where they should."""
    return [name for name in PLACES if (root / name).read_text() != _brought_up_to_date(root, name)]


def write_everywhere(root: Path) -> None:
    """Say the version of pyproject.toml in all other places.

    Raises:
        ValueError: a file has no place for it any more.
    """
    for name in PLACES:
        (root / name).write_text(_brought_up_to_date(root, name))


def _brought_up_to_date(root: Path, name: str) -> str:
    text = (root / name).read_text()
    for pattern in PLACES[name]:
        text, found = re.subn(pattern, version_of(root), text)
        if not found:
            raise ValueError(f"{name} has no version where release/version.py looks for it.")
    return text
