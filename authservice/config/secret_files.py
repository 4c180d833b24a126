"""Secrets from files, as containers mount them."""

from pathlib import Path

from authservice.config.variables import ConfigError

MOST_BYTES = 65_536
"""Of such a file. No secret has more, and what is named by mistake may never end."""


def secret_of(variable: str, path: str | Path) -> str:
    """Return the secret that a file holds, without the end of its last line. Raises ConfigError.

    Args:
        variable: what names the file.
    """
    path = str(path)
    shown = path if path.isprintable() else repr(path)
    try:
        with open(path, "rb") as file:
            content = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{variable}: cannot read {shown}: {getattr(error, 'strerror', None) or error}.") from None
    if len(content) > MOST_BYTES:
        raise ConfigError(f"{variable}: {shown} has more than {MOST_BYTES} bytes, so it is no secret.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise ConfigError(f"{variable}: {shown} is not UTF-8 text.")
    secret = text.rstrip("\r\n")  # Most programs that write a file end its last line.
    if not secret:
        raise ConfigError(f"{variable}: {shown} is empty.")
    return secret
