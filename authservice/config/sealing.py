"""What seals the keys in the database."""

import base64
from pathlib import Path

from pydantic import Field, SecretStr

from authservice.config.area import Area
from authservice.config.secret_files import secret_of
from authservice.config.variables import ConfigError


class SealingSettings(Area):
    """The master keys."""

    master_key: SecretStr | None = Field(
        None, description="base64 of 32 bytes that seal the keys in the database; a comma-separated list, newest first"
    )
    master_key_file: Path | None = Field(None, description="file with the same content as AUTHSERVICE_MASTER_KEY")

    def master_keys(self) -> tuple[bytes, ...]:
        """Return the configured master keys, newest first; none if none are configured. Raises ConfigError."""
        name, text = "AUTHSERVICE_MASTER_KEY", self.master_key.get_secret_value() if self.master_key else ""
        if not text and self.master_key_file:
            name = "AUTHSERVICE_MASTER_KEY_FILE"
            text = secret_of(name, self.master_key_file)
        return tuple(_master_key(part, name) for part in text.replace(",", " ").split())


def _master_key(text: str, name: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except ValueError:
        key = b""
    if len(key) != 32:
        raise ConfigError(f"{name}: each key must be base64 of 32 bytes. Make one: openssl rand -base64 32")
    return key
