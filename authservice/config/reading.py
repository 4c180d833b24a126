"""Reading the settings, and telling where each came from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import ValidationError

from authservice.config.area import key_of, variable_of
from authservice.config.database import without_password
from authservice.config.settings import Settings
from authservice.config.strays import strays
from authservice.config.variables import ENV_FILE, ConfigError, in_environment, in_file


@dataclass(frozen=True, slots=True)
class Origin:
    """One setting as `authservice config` lists it. `value` is safe to print."""

    variable: str
    value: str
    source: Literal["environment", ".env", "default"]
    description: str


def load(**overrides: Any) -> Settings:
    """Read the settings. `overrides` come from the command line and win. Raises ConfigError."""
    given = in_file(ENV_FILE) | in_environment()
    fields = [(key_of(name, info), variable_of(name, info)) for name, info in Settings.model_fields.items()]
    values = {key: _text(variable, given[variable]) for key, variable in fields if variable in given}
    try:
        return Settings(**values | {name: value for name, value in overrides.items() if value is not None})
    except ValidationError as error:
        # A misspelt variable may be the cause.
        lines = [*(_explain(dict(problem)) for problem in error.errors()), *map(str, strays())]
        raise ConfigError("\n".join(lines)) from None


def origins(settings: Settings) -> list[Origin]:
    """Return every setting with the place it came from, secrets hidden."""
    file, environment = in_file(ENV_FILE), in_environment()
    rows = []
    for field, info in Settings.model_fields.items():
        name = variable_of(field, info)
        source = "environment" if name in environment else ".env" if name in file else "default"
        rows.append(Origin(name, _printable(settings, field), source, info.description or ""))  # type: ignore[arg-type]
    return rows


def _text(variable: str, value: str) -> str:
    if not value.isprintable() and any("\ud800" <= character <= "\udfff" for character in value):
        raise ConfigError(f"{variable}: is not UTF-8 text")  # Python reads what is not into these.
    return value


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
    info = Settings.model_fields.get(field)
    return f"{variable_of(field, info) if info else field}: {message}"
