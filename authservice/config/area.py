"""What the settings of all areas have in common."""

from typing import Any

from pydantic import AliasChoices, BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo

from authservice.config.variables import PREFIX


class Area(BaseModel):
    """The settings of one area, from what it is given; `load` gives it the variables. Frozen; secrets show as stars."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True, validate_by_name=True)


def named(name: str, default: Any, description: str, **limits: Any) -> Any:
    """Return a field whose variable does not begin with the prefix: one of the Node application's five."""
    return Field(default, validation_alias=AliasChoices(name), description=description, **limits)


def host_name(host: str) -> str:
    """Return what may be asked for an address. Raises ValueError."""
    try:
        host.encode("idna")
    except UnicodeError:
        raise ValueError("is no host name") from None
    return host


def variable_of(field_name: str, field: FieldInfo) -> str:
    """Return the name of the variable behind a field."""
    return key_of(field_name, field) if field.validation_alias else PREFIX + field_name.upper()


def key_of(field_name: str, field: FieldInfo) -> str:
    """Return what a field is called where it is given."""
    alias = field.validation_alias
    return str(alias.choices[0]) if isinstance(alias, AliasChoices) else field_name
