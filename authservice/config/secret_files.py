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
        why = getattr(error, "strerror", None) or error
        raise ConfigError(f"{variable}: cannot read {shown}: {why}.", _remedy(Path(path))) from None
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


def _remedy(path: Path) -> str:
    """Return what to do about a file that cannot be read: the cause may be its folder or owner, and not its name."""
    folder = path.absolute().parent
    try:
        if not path.exists() or path.is_dir():
            return ""
    except OSError:  # Not even that may be known.
        return f"Let this user look into {folder}."
    return "Let this user read it."
