"""Variables that look like settings and are none, so that a typing error is noticed."""

import difflib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from authservice.config.area import variable_of
from authservice.config.settings import Settings
from authservice.config.variables import ENV_FILE, PREFIX, in_environment, in_file, is_of_kubernetes, statements

_FOR_TESTS = PREFIX + "TEST_"
_FAMILIES = ("DB_", "JWT_")
"""What the Node application's five begin with, and variables of other programs as well."""


@dataclass(frozen=True, slots=True)
class Stray:
    """Something among the variables that is ignored and was hardly meant to be. Safe to print.

    Attributes:
        meant: the setting whose name is nearest, if one is near.
    """

    what: str
    remedy: str
    meant: str | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return f"{self.what}; {self.remedy}"


def strays() -> list[Stray]:
    """Return the lines of `.env` that cannot be read, and the variables that are misspelt settings.

    Those are all that begin with AUTHSERVICE_ and are no settings. One that begins as one of the Node application's is
    somebody else's, unless its name is near to one of these that is not set.
    """
    written = list(statements(ENV_FILE))
    unreadable = [
        Stray(f"{ENV_FILE} line {one.line} cannot be read and is ignored", "write it as NAME=value")
        for one in written
        if not one.name
    ]
    unreadable += [
        Stray(
            f"{ENV_FILE} line {one.line}: the value of {one.name} ends before its #", "write it in quotes to have all"
        )
        for one in written
        if one.is_cut and one.name and one.name.upper() in _known()
    ]
    given = {name.upper() for name, value in os.environ.items() if not is_of_kubernetes(name.upper(), value)}
    given |= {one.name.upper() for one in written if one.name}
    return [*unreadable, *_misspelt(sorted(given))]


def _misspelt(names: list[str]) -> Iterator[Stray]:
    known = _known()
    is_set = in_environment().keys() | in_file(ENV_FILE).keys()
    for name in names:
        if name in known or name.startswith(_FOR_TESTS) or not name.startswith((PREFIX, *_FAMILIES)):
            continue
        # In a file, a line `NAME:value` is all name.
        shown = re.sub(r"\W.*", "...", name, count=1, flags=re.DOTALL)
        near = _nearest(shown, known)
        if name.startswith(PREFIX) or (near and near not in is_set):
            remedy = f"did you mean {near}?" if near else "`authservice config` lists all there are"
            yield Stray(f"{shown} is no setting and is ignored", remedy, near)


def _known() -> list[str]:
    return [variable_of(name, info) for name, info in Settings.model_fields.items()]


def _nearest(name: str, known: list[str]) -> str | None:
    """Return the setting that may have been meant: of the same beginning, or with the prefix too many."""
    family = next((family for family in _FAMILIES if name.startswith(family)), None)
    candidates = {
        setting.removeprefix(family or PREFIX): setting
        for setting in known
        if family is None or setting.startswith(family)
    }
    rest = name.removeprefix(family or PREFIX)
    longer = [each for each in candidates if family and rest.startswith(each)]  # DB_HOSTNAME is not DB_NAME.
    found = longer or difflib.get_close_matches(rest, candidates, 1)
    return candidates[found[0]] if found else None
