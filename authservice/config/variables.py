"""The variables that settings are read from: the environment, and before it the statements of a file `.env`."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from authservice.config.dotenv import Statement, read

PREFIX = "AUTHSERVICE_"
ENV_FILE = Path(".env")

_OF_A_SERVICE = re.compile(r"\w+_SERVICE_(HOST|PORT(_\w+)?)|\w+_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?")
_PLACE_OF_A_SERVICE = re.compile(r"(tcp|udp|sctp)://\S+:\d+")


class ConfigError(Exception):
    """A setting is missing or unusable. The text names the variable and says what to do.

    Attributes:
        what: is wrong.
        remedy: a sentence on what to do about it; empty where that is to correct the variables that `what` names.
    """

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__(f"{what} {remedy}" if remedy else what)
        self.what, self.remedy = what, remedy


def in_environment() -> dict[str, str]:
    """Return what the environment says, by names in capitals. What is empty counts as unset.

    What Kubernetes says of its Services is left out.
    """
    given = {name.upper(): value for name, value in os.environ.items() if value}
    return {name: value for name, value in given.items() if not is_of_kubernetes(name, value)}


def in_file(path: Path) -> dict[str, str]:
    """Return what the file says, by names in capitals; nothing if there is none. Raises ConfigError."""
    stated = {one.name.upper(): one.value for one in statements(path) if one.name and one.value is not None}
    return {name: value for name, value in stated.items() if value}


def is_of_kubernetes(name: str, value: str) -> bool:
    """Tell whether a variable is one of those that Kubernetes sets in a pod for each Service of its namespace.

    Of one named `authservice` it says `AUTHSERVICE_PORT=tcp://10.96.0.7:50051`, of one named `db` the same by
    `DB_PORT`. No port of ours is written so.
    """
    return bool(_OF_A_SERVICE.fullmatch(name) or (name.endswith("_PORT") and _PLACE_OF_A_SERVICE.fullmatch(value)))


def statements(path: Path) -> Iterator[Statement]:
    """Yield the statements of the file, none if there is no such file. Raises ConfigError."""
    return read(_text(path))


def _text(path: Path) -> str:
    try:
        if not path.exists() or path.is_dir():  # Some name the folder of a virtual environment so.
            return ""
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        if not os.access(path.parent, os.X_OK, effective_ids=True):
            place = path.parent.absolute()
            raise ConfigError(
                f"{place}: this user may not look for {path.name} in this folder.",
                "Run the command in another, or as a user that may read this one.",
            ) from None
        raise ConfigError(f"{path}: cannot be read: {error.strerror}.", "Run as its owner.") from None
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:  # As in UTF-16, which PowerShell and some editors write.
        raise ConfigError(f"{path}: is not UTF-8 text.", "Save it as UTF-8.")
    return text
