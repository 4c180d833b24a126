"""The person behind an account, as tables know them."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Person:
    """Whose rows are meant.

    Args:
        user_id: of the account.
        account: the 32 bytes that its attempts to log in are counted under.
        codes: the same of its codes.
    """

    user_id: UUID
    account: bytes
    codes: bytes
