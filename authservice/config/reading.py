"""Reading the settings, and telling where each came from."""

import difflib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from dotenv import dotenv_values
from pydantic import AliasChoices, ValidationError

from authservice.config.area import ENV_FILE, PREFIX, ConfigError
from authservice.config.database import without_password
from authservice.config.settings import Settings

_FOR_TESTS = PREFIX + "TEST_"


@dataclass(frozen=True, slots=True)
class Origin:
    """One setting as `authservice config` lists it. `value` is safe to print."""

    variable: str
    value: str
    source: Literal["environment", ".env", "default"]
    description: str


@dataclass(frozen=True, slots=True)
class Stray:
    """A variable that is named like a setting and is none. Safe to print."""

    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.what}; {self.remedy}"


def load(**overrides: Any) -> Settings:
    """Read the settings. `overrides` come from the command line and win. Raises ConfigError."""
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})
    except ValidationError as error:
        # A misspelt variable may be the cause.
        lines = [*(_explain(dict(problem)) for problem in error.errors()), *map(str, strays())]
        raise ConfigError("\n".join(lines)) from None


def origins(settings: Settings) -> list[Origin]:
    """Return every setting with the place it came from, secrets hidden."""
    file = {name.upper() for name, value in dotenv_values(ENV_FILE).items() if value}
    environment = {name.upper() for name, value in os.environ.items() if value}
    rows = []
    for field, info in Settings.model_fields.items():
        name = variable(field)
        source = "environment" if name in environment else ".env" if name in file else "default"
        rows.append(Origin(name, _printable(settings, field), source, info.description or ""))  # type: ignore[arg-type]
    return rows


def strays() -> list[Stray]:
    """Return the variables that begin with AUTHSERVICE_ and are no settings, so that a typing error is noticed."""
    known = {variable(field).removeprefix(PREFIX): variable(field) for field in Settings.model_fields}
    found = []
    for name in sorted({name.upper() for name in (*os.environ, *dotenv_values(ENV_FILE))}):
        if not name.startswith(PREFIX) or name.startswith(_FOR_TESTS) or name in known.values():
            continue
        # In a file, a line `NAME:value` is all name.
        shown = re.sub(r"\W.*", "...", name, count=1, flags=re.DOTALL)
        near = difflib.get_close_matches(shown.removeprefix(PREFIX), known, 1)
        remedy = f"did you mean {known[near[0]]}?" if near else "`authservice config` lists all there are"
        found.append(Stray(f"{shown} is no setting and is ignored", remedy))
    return found


def variable(field: str) -> str:
    """Return the name of the variable behind a field of Settings."""
    alias = Settings.model_fields[field].validation_alias
    return str(alias.choices[0]) if isinstance(alias, AliasChoices) else PREFIX + field.upper()


def _printable(settings: Settings, field: str) -> str:
    value = getattr(settings, field)
    if field == "database_url" and value is not None:
        return without_password(value)
    return "" if value is None else str(value)


def _explain(problem: Mapping[str, Any]) -> str:
    message = str(problem["msg"]).removeprefix("Value error, ")
    location = problem["loc"]
    if not location:
        return message
    field = str(location[0])
    name = variable(field) if field in Settings.model_fields else field
    return f"{name}: {message}"
