"""What CHANGELOG.md says of a version: whether it is released, is being written, or is ready."""

import re
from enum import Enum

_HEADING = re.compile(r"^## \[(?P<name>[^\]]+)\](?: - (?P<day>\d{4}-\d\d-\d\d))?$", re.MULTILINE)


class Stage(Enum):
    """How far a version is."""

    WRITTEN = "CHANGELOG.md has no heading for it: what is new stands under Unreleased"
    READY = "CHANGELOG.md has its heading, with a date, and nothing under Unreleased"


def stage_of(version: str, changelog: str) -> Stage:
    """Return how far this version is.

    Raises:
        ValueError: the changelog and the version contradict each other. The text says what to do.
    """
    headings = list(_HEADING.finditer(changelog))
    if not headings or headings[0]["name"] != "Unreleased":
        raise ValueError("The first heading of CHANGELOG.md has to be ## [Unreleased], with or without lines below it.")
    for heading in headings[1:]:
        if not heading["day"]:
            raise ValueError(f"The heading of {heading['name']} in CHANGELOG.md has no date: ## [1.2.3] - 2026-01-31")
    released = [heading["name"] for heading in headings[1:]]
    if not released or _parts(released[0]) < _parts(version):
        return Stage.WRITTEN
    if released[0] != version:
        raise ValueError(f"CHANGELOG.md is at {released[0]} already, and pyproject.toml at {version}.")
    if changelog[headings[0].end() : headings[1].start()].strip():
        raise ValueError(
            f"{version} has its heading, and there are lines under Unreleased. Raise it in pyproject.toml."
        )
    return Stage.READY


def _parts(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]
