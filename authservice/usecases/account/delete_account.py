"""DeleteAccount and CancelDeletion: have an account erased after a time of grace, or keep it after all."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from authservice.domain import events
from authservice.domain.deadline import Deadline
from authservice.domain.errors import NotPermitted, SessionEnded
from authservice.domain.mail import Letter, MailKind, shown
from authservice.domain.session import SessionEnd
from authservice.domain.user import AccountDetails
from authservice.ports import Audit, AuthStores, Clock, Database, last_counts
from authservice.usecases.steps.own_claim import has_confirmed
from authservice.usecases.steps.send_mail import SendMail


@dataclass(frozen=True, slots=True)
class DeleteAccount:
    """Ends the sessions of an account at once, and says when EraseAccounts may take it."""

    database: Database[AuthStores]
    grace: timedelta
    send_mail: SendMail
    clock: Clock
    audit: Audit

    def __call__(
        self, user_id: UUID, deadline: Deadline, *, by_operator: bool = False, at_once: bool = False
    ) -> tuple[datetime, int]:
        """Return when the account will be erased, and how many sessions were live. A repetition puts nothing off.

        Raises SessionEnded if it was erased already, DeadlineTooShort, StorageUnavailable, Conflict.

        Args:
            at_once: without a time of grace.
        """
        now = self.clock()
        at = now if at_once else now + self.grace
        notice = self.send_mail.draft(MailKind.ACCOUNT_DELETED)
        erase_at, ended = self.database.transact(
            lambda tx: self._schedule(tx, user_id, at, notice),
            deadline,
            settle=lambda earlier, last: earlier if earlier[1] else last,
        )
        self.audit.record(events.AccountDeletionRequested(user_id=user_id, ended=ended, by_operator=by_operator))
        return erase_at, ended

    def _schedule(self, tx: AuthStores, user_id: UUID, at: datetime, notice: Letter) -> tuple[datetime, int]:
        user, now = tx.users.lock(user_id), notice.written_at
        if user is None:
            raise SessionEnded
        erase_at = min(at, user.erase_at or at)
        tx.users.set_erase_at(user_id, erase_at)
        tx.users.begin_secret_generation(
            user_id
        )  # Nothing that waits for a proof outlives a deletion that is cancelled.
        if user.erase_at is None:
            self.send_mail.notify(tx, user, replace(notice, facts={"erase_time": shown(erase_at)}))
        return erase_at, tx.sessions.end_all(user_id, SessionEnd.ACCOUNT_DELETED, now)


@dataclass(frozen=True, slots=True)
class CancelDeletion:
    """Keeps accounts that were to be erased."""

    database: Database[AuthStores]
    clock: Clock
    audit: Audit

    def __call__(self, user_id: UUID, deadline: Deadline, *, by_operator: bool = False) -> AccountDetails:
        """Return the account.

        Raises NotPermitted once the time of grace is over, DeadlineTooShort, StorageUnavailable, Conflict.
        """
        now = self.clock()
        kept = self.database.transact(lambda tx: _keep(tx, user_id, now), deadline, settle=last_counts)
        self.audit.record(events.AccountDeletionCancelled(user_id=user_id, by_operator=by_operator))
        return kept


def _keep(tx: AuthStores, user_id: UUID, now: datetime) -> AccountDetails:
    user = tx.users.lock(user_id)
    if user is None or user.is_due(now):
        raise NotPermitted
    tx.users.set_erase_at(user_id, None)
    return AccountDetails(replace(user, erase_at=None), has_confirmed(tx, user))
