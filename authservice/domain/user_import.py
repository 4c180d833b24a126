"""Accounts that come from another system, with their password hashes."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ForeignUser:
    """One row of the other system. `number` counts rows from 1, or lines of a file. `email` may be empty."""

    number: int
    user_name: str
    password_hash: str = field(repr=False)
    email: str = ""


@dataclass(frozen=True, slots=True)
class Remark:
    """What an operator has to know about one row, for people. Never holds the hash."""

    number: int
    user_name: str
    text: str
    is_refused: bool


@dataclass(frozen=True, slots=True)
class ImportStep:
    """What has become of some rows: `present` ones had been imported before."""

    imported: int
    present: int
    remarks: tuple[Remark, ...]

    @property
    def refused(self) -> int:
        """How many rows became no account."""
        return sum(remark.is_refused for remark in self.remarks)
