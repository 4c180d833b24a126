"""What the settings of all areas have in common."""

from pathlib import Path
from typing import Any

from pydantic import AliasChoices, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "AUTHSERVICE_"
ENV_FILE = Path(".env")


class ConfigError(Exception):
    """A setting is missing or unusable. The text names the variable and says what to do."""


class Area(BaseSettings):
    """The settings of one area. Frozen; secrets show as stars."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=ENV_FILE,
        env_ignore_empty=True,
        frozen=True,
        extra="ignore",
        hide_input_in_errors=True,
    )


def named(name: str, default: Any, description: str, **limits: Any) -> Any:
    """Return a field whose variable does not begin with the prefix: one of the Node application's five."""
    return Field(default, validation_alias=AliasChoices(name), description=description, **limits)
