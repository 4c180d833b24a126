"""What operators do with accounts: list, disable, enable."""

from dataclasses import dataclass
from datetime import datetime

from authservice.domain.deadline import Deadline
from authservice.domain.session import SessionEnd
from authservice.domain.user import User, UserSummary
from authservice.ports import Audit, Clock, Database, NameRules, Transaction


class NoSuchUser(Exception):
    """No account has this name. For operators only: callers of the service never learn this."""


@dataclass(frozen=True, slots=True)
class OperateUsers:
    """Looks after accounts, on behalf of whoever may run the command line."""

    database: Database
    names: NameRules
    clock: Clock
    audit: Audit

    def page(self, after: str, limit: int, deadline: Deadline) -> list[UserSummary]:
        """Return up to `limit` accounts in the order of canonical names, those after `after`."""
        return self.database.transact(lambda tx: tx.users.page(after, limit, self.clock()), deadline)

    def disable(self, user_name: str, deadline: Deadline) -> int:
        """Disable an account and end its sessions. Returns how many were live. Raises NoSuchUser, FieldRejected."""
        now = self.clock()
        user, ended = self.database.transact(lambda tx: self._disable(tx, user_name, now), deadline)
        self.audit.record("user_disabled", user_id=str(user.id), ended=ended)
        return ended

    def enable(self, user_name: str, deadline: Deadline) -> None:
        """Let an account log in again. Its ended sessions stay ended. Raises NoSuchUser, FieldRejected."""
        user = self.database.transact(lambda tx: self._enable(tx, user_name), deadline)
        self.audit.record("user_enabled", user_id=str(user.id))

    def _disable(self, tx: Transaction, user_name: str, now: datetime) -> tuple[User, int]:
        user = self._find(tx, user_name)
        tx.users.set_disabled(user.id, user.disabled_at or now)
        return user, tx.sessions.end_all(user.id, SessionEnd.USER_DISABLED, now)

    def _enable(self, tx: Transaction, user_name: str) -> User:
        user = self._find(tx, user_name)
        tx.users.set_disabled(user.id, None)
        return user

    def _find(self, tx: Transaction, user_name: str) -> User:
        found = tx.users.by_name(self.names.read(user_name).canonical)
        user = tx.users.lock(found.id) if found else None
        if user is None:
            raise NoSuchUser(user_name)
        return user
