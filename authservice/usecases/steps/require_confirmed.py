"""Letting in only those whose address is confirmed, where that is asked for."""

from dataclasses import dataclass

from authservice.domain import events
from authservice.domain.deadline import Deadline
from authservice.domain.errors import EmailNotConfirmed
from authservice.domain.user import User
from authservice.ports import Audit, AuthStores, Database
from authservice.usecases.steps.own_claim import has_confirmed


@dataclass(frozen=True, slots=True)
class RequireConfirmed:
    """Asked once it is known who somebody is, so that only they learn the answer.

    An account without an address was made by an operator, or before this was asked for, and has nothing to confirm.
    """

    database: Database[AuthStores]
    audit: Audit
    is_asked_for: bool

    def __call__(self, user: User, deadline: Deadline) -> None:
        """Raise EmailNotConfirmed unless the address of the user is confirmed. Raises StorageUnavailable."""
        # Without a read where nothing is asked for.
        if self.is_asked_for and not self.database.read(lambda tx: self.is_met(tx, user), deadline):
            raise self.refused(user)

    def is_met(self, tx: AuthStores, user: User) -> bool:
        """Tell whether nothing is left to confirm."""
        return not self.is_asked_for or user.email is None or has_confirmed(tx, user)

    def refused(self, user: User) -> EmailNotConfirmed:
        """Record that somebody was not let in, and return the error."""
        self.audit.record(events.LoginNotConfirmed(user_id=user.id))
        return EmailNotConfirmed()
