"""The root of all audit events, and those of no one area."""

import re
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, ClassVar, TypeAlias, dataclass_transform
from uuid import UUID

Plain: TypeAlias = str | int | bool | None
"""What a fact is in a line of the log."""
Fact: TypeAlias = UUID | Enum | Plain
"""What a fact is to a story."""
Personal: TypeAlias = Annotated[str, "personal"]
"""Text that names a person or that one has typed: a user name, an address, a label."""
Name: TypeAlias = Annotated[str, "name"]
"""Text that names a thing of the service: a role, a key."""


@dataclass_transform(frozen_default=True, kw_only_default=True)
class AuditEvent:
    """What somebody did, as one line of the log tells it: the name of the class (`user_registered`) and its fields.

    Whatever derives from this is a frozen dataclass whose docstring says when it is recorded. Text is `Personal` or a
    `Name`, so that everybody sees what a line tells about people. Secrets have no place in an event: no password, token
    or code, nor a hash of one.
    """

    name: ClassVar[str]

    def __init_subclass__(cls) -> None:
        dataclass(frozen=True, kw_only=True)(cls)
        cls.name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).lower()

    def facts(self) -> dict[str, Plain]:
        """Return the fields as the log has them, in their order."""
        return {name: _plain(fact) for name, fact in vars(self).items()}


def _plain(fact: Fact) -> Plain:
    match fact:
        case UUID():
            return str(fact)
        case Enum():
            return str(fact.value)
    return fact


class BackupAdopted(AuditEvent):
    """A restored backup was made fit to be served: all sessions and keys in it were ended and replaced."""

    sessions: int
    keys: int
