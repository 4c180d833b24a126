"""What operators do with accounts: list, disable, enable, grant and take roles, help who has lost their phone."""

from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from authservice.domain import events
from authservice.domain.deadline import Deadline
from authservice.domain.errors import FieldRejected
from authservice.domain.fields import role_name
from authservice.domain.mail import Letter, MailKind
from authservice.domain.second_factor import ALL_REMOVED, SecondFactors
from authservice.domain.session import SessionEnd
from authservice.domain.user import User, UserName, UserSummary
from authservice.ports import (
    Audit,
    AuthStores,
    Clock,
    Database,
    Fingerprints,
    NameRules,
    last_counts,
)
from authservice.usecases.steps.admit_attempt import account_of
from authservice.usecases.steps.admit_code import codes_of
from authservice.usecases.steps.own_claim import has_confirmed
from authservice.usecases.steps.remove_factors import remove_all
from authservice.usecases.steps.second_factors import second_factors_of
from authservice.usecases.steps.send_mail import SendMail

Change = TypeVar("Change", bool, int)

MAX_ROLES_BYTES = 256
"""What the roles of one user may take in an access token, so that everybody's token fits into its budget."""


class NoSuchUser(Exception):
    """No account has this name. For operators only: callers of the service never learn this."""


def user_named(tx: AuthStores, name: UserName) -> User:
    """Return the account of a name. Raises NoSuchUser."""
    user = tx.users.by_name(name.canonical)
    if user is None:
        raise NoSuchUser(name.typed)
    return user


def held_user_named(tx: AuthStores, name: UserName) -> User:
    """Return the same as it is now, and keep others from changing it until the transaction ends."""
    user = tx.users.lock_named(name.canonical)
    if user is None:
        raise NoSuchUser(name.typed)
    return user


@dataclass(frozen=True, slots=True)
class UserDetails:
    """An account as operators see it who help its owner."""

    user: User
    is_email_confirmed: bool
    factors: SecondFactors
    recovery_codes_left: int


@dataclass(frozen=True, slots=True)
class OperateUsers:
    """Looks after accounts, on behalf of whoever may run the command line."""

    database: Database[AuthStores]
    names: NameRules
    fingerprints: Fingerprints
    send_mail: SendMail
    clock: Clock
    audit: Audit

    def page(self, after: str, limit: int, deadline: Deadline) -> list[UserSummary]:
        """Return up to `limit` accounts in the order of canonical names, those after `after`."""
        return self.database.read(lambda tx: tx.users.page(after, limit, self.clock()), deadline)

    def find(self, user_name: str, deadline: Deadline) -> User:
        """Return an account. Raises NoSuchUser, FieldRejected."""
        name = self.names.read(user_name)
        return self.database.read(lambda tx: user_named(tx, name), deadline)

    def details(self, user_name: str, deadline: Deadline) -> UserDetails:
        """Return what helps to see why somebody cannot log in. Raises NoSuchUser, FieldRejected."""
        name = self.names.read(user_name)
        return self.database.read(lambda tx: _details(tx, user_named(tx, name)), deadline)

    def disable(self, user_name: str, deadline: Deadline) -> int:
        """Disable an account and end its sessions. Returns how many were live. Raises NoSuchUser, FieldRejected."""
        now = self.clock()
        user, ended = self.database.transact(lambda tx: self._disable(tx, user_name, now), deadline, settle=_settle)
        self.audit.record(events.UserDisabled(user_id=user.id, ended=ended))
        return ended

    def enable(self, user_name: str, deadline: Deadline) -> None:
        """Let an account log in again. Its ended sessions stay ended. Raises NoSuchUser, FieldRejected."""
        user = self.database.transact(lambda tx: self._enable(tx, user_name), deadline, settle=last_counts)
        self.audit.record(events.UserEnabled(user_id=user.id))

    def remove_second_factor(self, user_name: str, deadline: Deadline) -> int | None:
        """Take a user's second factors away and end their sessions. Returns how many were live.

        None where the user has none. Raises NoSuchUser, FieldRejected.
        """
        notice = self.send_mail.draft(MailKind.FACTOR_CHANGED, change=ALL_REMOVED)
        user, ended = self.database.transact(
            lambda tx: self._remove_second_factor(tx, user_name, notice), deadline, settle=_settle_removal
        )
        if ended is not None:
            self.audit.record(events.SecondFactorRemovedByOperator(user_id=user.id, ended=ended))
        return ended

    def grant(self, user_name: str, role: str, deadline: Deadline) -> bool:
        """Give a role. Tells whether the user did not have it.

        Their tokens are outdated from then on, and refreshing brings a new one. Raises NoSuchUser, FieldRejected.
        """
        role_name(role)
        now = self.clock()
        user, granted = self.database.transact(
            lambda tx: self._grant(tx, user_name, role, now), deadline, settle=_settle
        )
        if granted:
            self.audit.record(events.RoleGranted(user_id=user.id, role=role))
        return granted

    def unthrottle(self, user_name: str, deadline: Deadline) -> int:
        """Forget the failed attempts on an account. Returns how many counts of them there were.

        Those of networks are nobody's, and go on. Raises NoSuchUser, FieldRejected.
        """
        user, cleared = self.database.transact(lambda tx: self._unthrottle(tx, user_name), deadline, settle=_settle)
        self.audit.record(events.UserUnthrottled(user_id=user.id, cleared=cleared))
        return cleared

    def roles(self, deadline: Deadline) -> dict[str, int]:
        """Return every role that somebody has, and how many accounts have it."""
        return self.database.read(lambda tx: tx.users.roles(), deadline)

    def take(self, user_name: str, role: str, deadline: Deadline) -> bool:
        """Take a role away. Tells whether the user had it. Otherwise as `grant`."""
        role_name(role)
        user, taken = self.database.transact(lambda tx: self._take(tx, user_name, role), deadline, settle=_settle)
        if taken:
            self.audit.record(events.RoleTaken(user_id=user.id, role=role))
        return taken

    def _grant(self, tx: AuthStores, user_name: str, role: str, now: datetime) -> tuple[User, bool]:
        user = self._find(tx, user_name)
        if role not in user.roles and sum(len(held) + 3 for held in (*user.roles, role)) > MAX_ROLES_BYTES:
            raise FieldRejected(
                f"cannot be granted: all roles of a user must fit into {MAX_ROLES_BYTES} bytes of the access token, "
                "with 3 bytes more for each. Take another role away first"
            )
        granted = tx.users.grant(user.id, role, now)
        if granted:
            _outdate_tokens(tx, user)
        return user, granted

    def _take(self, tx: AuthStores, user_name: str, role: str) -> tuple[User, bool]:
        user = self._find(tx, user_name)
        taken = tx.users.take(user.id, role)
        if taken:
            _outdate_tokens(tx, user)
        return user, taken

    def _disable(self, tx: AuthStores, user_name: str, now: datetime) -> tuple[User, int]:
        user = self._find(tx, user_name)
        tx.users.set_disabled(user.id, user.disabled_at or now)
        tx.users.begin_secret_generation(
            user.id
        )  # So that nothing that waits for a proof outlives being enabled again.
        return user, tx.sessions.end_all(user.id, SessionEnd.USER_DISABLED, now)

    def _enable(self, tx: AuthStores, user_name: str) -> User:
        user = self._find(tx, user_name)
        tx.users.set_disabled(user.id, None)
        return user

    def _unthrottle(self, tx: AuthStores, user_name: str) -> tuple[User, int]:
        user = self._find(tx, user_name)
        owners = account_of(user.id, self.fingerprints), codes_of(user.id, self.fingerprints)
        return user, sum(map(tx.attempts.clear_owned, owners))

    def _remove_second_factor(self, tx: AuthStores, user_name: str, notice: Letter) -> tuple[User, int | None]:
        user = self._find(tx, user_name)
        ended = remove_all(tx, user.id, notice.written_at)
        if ended is not None:
            self.send_mail.notify(tx, user, notice)
        return user, ended

    def _find(self, tx: AuthStores, user_name: str) -> User:
        return held_user_named(tx, self.names.read(user_name))


def _settle(earlier: tuple[User, Change], last: tuple[User, Change]) -> tuple[User, Change]:
    # What the earlier run changed, the last one finds changed.
    return earlier if earlier[1] else last


def _settle_removal(earlier: tuple[User, int | None], last: tuple[User, int | None]) -> tuple[User, int | None]:
    # What the earlier run removed, the last one does not find.
    return last if earlier[1] is None else earlier


def _outdate_tokens(tx: AuthStores, user: User) -> None:
    tx.sessions.outdate_tokens(user.id, tx.users.begin_generation(user.id))


def _details(tx: AuthStores, user: User) -> UserDetails:
    codes = tx.recovery_codes.count(user.id)
    return UserDetails(user, has_confirmed(tx, user), second_factors_of(tx, user.id), codes)
