"""GetAccount: what the service knows of somebody as a person."""

from dataclasses import dataclass
from uuid import UUID

from authservice.domain.deadline import Deadline
from authservice.domain.errors import SessionEnded
from authservice.domain.user import AccountDetails
from authservice.ports import AuthStores, Database
from authservice.usecases.steps.own_claim import has_confirmed


@dataclass(frozen=True, slots=True)
class GetAccount:
    """Reads accounts."""

    database: Database[AuthStores]

    def __call__(self, user_id: UUID, deadline: Deadline) -> AccountDetails:
        """Return the account. Raises StorageUnavailable, DeadlineTooShort, SessionEnded if it was erased meanwhile."""
        return self.database.read(lambda tx: _details(tx, user_id), deadline)


def _details(tx: AuthStores, user_id: UUID) -> AccountDetails:
    user = tx.users.get(user_id)
    if user is None:
        raise SessionEnded
    return AccountDetails(user, has_confirmed(tx, user))
