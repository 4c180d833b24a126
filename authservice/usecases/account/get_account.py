"""GetAccount: what the service knows of somebody as a person."""

from dataclasses import dataclass
from uuid import UUID

from authservice.domain.deadline import Deadline
from authservice.domain.errors import SessionEnded
from authservice.domain.user import User
from authservice.ports import AuthStores, Database


@dataclass(frozen=True, slots=True)
class GetAccount:
    """Reads accounts."""

    database: Database[AuthStores]

    def __call__(self, user_id: UUID, deadline: Deadline) -> User:
        """Return the account. Raises StorageUnavailable, DeadlineTooShort, SessionEnded if it was erased meanwhile."""
        user = self.database.read(lambda tx: tx.users.get(user_id), deadline)
        if user is None:
            raise SessionEnded
        return user
