"""Letting in only those whose address is confirmed, where that is asked for."""

from dataclasses import dataclass

from authservice.domain import events
from authservice.domain.deadline import Deadline
from authservice.domain.errors import EmailNotConfirmed
from authservice.domain.user import User
from authservice.ports import Audit, AuthStores, Database


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
        if not self.is_asked_for or user.email is None:
            return
        address = user.email
        claim = self.database.read(lambda tx: tx.email_claims.holder(address), deadline)
        if claim is None or claim.user_id != user.id or claim.confirmed_at is None:
            self.audit.record(events.LoginNotConfirmed(user_id=user.id))
            raise EmailNotConfirmed
