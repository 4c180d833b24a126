"""Helping somebody who cannot log in: a password for one login, which replaces it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from authservice.domain import events
from authservice.domain.deadline import Deadline
from authservice.domain.session import SessionEnd
from authservice.domain.user import NewPassword
from authservice.ports import Audit, AuthStores, Clock, Database, NameRules, Passwords
from authservice.usecases.admin.operate_users import held_user_named
from authservice.usecases.steps.set_password import SetPassword


@dataclass(frozen=True, slots=True)
class OneTimePassword:
    """What an operator gives to a user, and how many of the user's sessions were live and have ended."""

    text: str = field(repr=False)
    expires_at: datetime
    ended: int


@dataclass(frozen=True, slots=True)
class MakeOneTimePassword:
    """Sets passwords that nobody has chosen, so that no operator knows one for longer than a login.

    Args:
        new_text: returns a random password.
        life: how long it may be used.
    """

    database: Database[AuthStores]
    names: NameRules
    passwords: Passwords
    new_text: Callable[[], str]
    life: timedelta
    set_password: SetPassword
    clock: Clock
    audit: Audit

    def __call__(self, user_name: str, deadline: Deadline) -> OneTimePassword:
        """Replace the password of a user, and end all sessions and whatever else it was good for.

        Raises NoSuchUser, FieldRejected, Overloaded, DeadlineTooShort, StorageUnavailable, Conflict.
        """
        name, text, now = self.names.read(user_name), self.new_text(), self.clock()
        new = NewPassword(self.passwords.hash(text, deadline), now + self.life)
        replacement = self.set_password.draft(new, SessionEnd.PASSWORD_SET, now)

        def work(tx: AuthStores) -> tuple[UUID, int]:
            user = held_user_named(tx, name)
            return user.id, self.set_password(tx, user, replacement) or 0

        user_id, ended = self.database.transact(
            work,
            deadline,
            # What the earlier run ended, the last one finds ended.
            settle=lambda earlier, last: max(earlier, last, key=lambda outcome: outcome[1]),
        )
        self.audit.record(events.OneTimePasswordMade(user_id=user_id, ended=ended))
        return OneTimePassword(text, now + self.life, ended)
