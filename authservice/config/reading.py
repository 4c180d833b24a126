"""Reading the settings, and telling where each came from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from authservice.config.area import key_of, variable_of
from authservice.config.database import without_password
from authservice.config.secret_files import secret_of
from authservice.config.settings import Settings
from authservice.config.strays import strays
from authservice.config.variables import ENV_FILE, ConfigError, in_environment, in_file


@dataclass(frozen=True, slots=True)
class Origin:
    """One setting as `authservice config` lists it. `value` is safe to print.

    Attributes:
        source: `environment`, `.env`, `default`, or the variable that names the file with the value.
    """

    variable: str
    value: str
    source: str
    description: str


def load(**overrides: Any) -> Settings:
    """Read the settings. `overrides` come from the command line and win. Raises ConfigError."""
    given = in_file(ENV_FILE) | in_environment()
    fields = [(key_of(name, info), variable_of(name, info)) for name, info in Settings.model_fields.items()]
    values: dict[str, Any] = {key: _text(variable, given[variable]) for key, variable in fields if variable in given}
    values |= {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings(**_with_secrets_of_files(values))
    except ValidationError as error:
        # A misspelt variable may be the cause.
        lines = [*(_explain(dict(problem), values) for problem in error.errors()), *map(str, strays())]
        raise ConfigError("\n".join(lines)) from None


def origins(settings: Settings) -> list[Origin]:
    """Return every setting with the place it came from, secrets hidden."""
    file, environment = in_file(ENV_FILE), in_environment()
    rows = []
    for field, info in Settings.model_fields.items():
        name = variable_of(field, info)
        source = "environment" if name in environment else ".env" if name in file else "default"
        if source == "default" and f"{name}_FILE" in file | environment:
            source = f"{name}_FILE"
        rows.append(Origin(name, _printable(settings, field), source, info.description or ""))
    return rows


def _with_secrets_of_files(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings as they are given, with the secrets that files hold. Raises ConfigError.

    For each setting with a secret there is one that names a file. Master keys are read where they are needed.
    """
    given = dict(values)
    for name, info in Settings.model_fields.items():
        if (of_file := Settings.model_fields.get(f"{name}_file")) is None:
            continue
        path = _given(values, f"{name}_file", of_file)
        if path is None:
            continue
        variable = variable_of(name, info)
        if _given(values, name, info) is not None:
            raise ConfigError(f"{variable} and {variable}_FILE are both set, and only one can count. Unset the other.")
        if name != "master_key":
            given[key_of(name, info)] = secret_of(f"{variable}_FILE", path)
    return given


def _given(values: Mapping[str, Any], name: str, info: FieldInfo) -> Any:
    """Return what is given for a field, by its variable or by its own name."""
    return values.get(key_of(name, info), values.get(name))


def _text(variable: str, value: str) -> str:
    if not value.isprintable() and any("\ud800" <= character <= "\udfff" for character in value):
        raise ConfigError(f"{variable}: is not UTF-8 text")  # Python reads what is not into these.
    return value


def _printable(settings: Settings, field: str) -> str:
    value = getattr(settings, field)
    if field == "database_url" and value is not None:
        return without_password(value)
    return "" if value is None else str(value)


def _explain(problem: Mapping[str, Any], values: Mapping[str, Any]) -> str:
    message = str(problem["msg"]).removeprefix("Value error, ").replace("Input should be", "must be")
    location = problem["loc"]
    if not location:
        return message
    field = str(location[0])
    info = Settings.model_fields.get(field)
    variable = variable_of(field, info) if info else field
    is_of_file = not {f"{variable}_FILE", f"{field}_file"}.isdisjoint(values)
    return f"{variable}{'_FILE' if is_of_file else ''}: {message}"
