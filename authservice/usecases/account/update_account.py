"""UpdateAccount: change what people say about themselves."""

from dataclasses import dataclass, replace
from uuid import UUID

from authservice.domain import events
from authservice.domain.deadline import Deadline
from authservice.domain.errors import SessionEnded
from authservice.domain.fields import Fields, display_name, language_tag
from authservice.domain.user import AccountDetails
from authservice.ports import Audit, AuthStores, Database, last_counts
from authservice.usecases.steps.own_claim import has_confirmed


@dataclass(frozen=True, slots=True)
class AccountChanges:
    """What is to change. None leaves a field as it is, an empty text takes it away."""

    display_name: str | None = None
    locale: str | None = None


@dataclass(frozen=True, slots=True)
class UpdateAccount:
    """Changes accounts."""

    database: Database[AuthStores]
    audit: Audit

    def __call__(self, changes: AccountChanges, user_id: UUID, deadline: Deadline) -> AccountDetails:
        """Return the account as it is then.

        Raises InvalidInput, SessionEnded if it was erased meanwhile, DeadlineTooShort, StorageUnavailable, Conflict.
        """
        fields = Fields()
        fields.read("display_name", display_name, changes.display_name or "")
        fields.read("locale", language_tag, changes.locale or "")
        fields.require_valid()
        changed = self.database.transact(lambda tx: _change(tx, changes, user_id), deadline, settle=last_counts)
        self.audit.record(events.AccountUpdated(user_id=user_id))
        return changed


def _change(tx: AuthStores, changes: AccountChanges, user_id: UUID) -> AccountDetails:
    user = tx.users.lock(user_id)
    if user is None:
        raise SessionEnded
    name = user.display_name if changes.display_name is None else changes.display_name or None
    locale = user.locale if changes.locale is None else changes.locale or None
    tx.users.set_profile(user_id, name, locale)
    return AccountDetails(replace(user, display_name=name, locale=locale), has_confirmed(tx, user))
