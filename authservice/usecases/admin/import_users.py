"""Bringing accounts in from another system, with the password hashes that it has."""

import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from authservice.domain import events
from authservice.domain.deadline import Deadline
from authservice.domain.errors import InvalidInput
from authservice.domain.fields import Fields
from authservice.domain.user import User
from authservice.domain.user_import import ForeignUser, ImportStep, Remark
from authservice.ports import Audit, Clock, Database, EmailRules, Holders, ImportStores, NameRules, NewId, last_counts

STEP_SECONDS = 30.0
TAKEN = "the name is that of another account"
TWICE = "the name is that of an earlier row"
NO_CLAIM = "imported, but the e-mail address is that of another account, so this one cannot log in by it"


@dataclass(frozen=True, slots=True)
class ImportUsers:
    """Makes accounts of rows, a batch in each transaction.

    An account that was imported is known again by its registration key, which follows from its name. So an import that
    was interrupted, or that is repeated once rows were corrected, goes on where it was, and an account that somebody
    has registered, or that has another password by now, stays as it is.

    Args:
        read_hash: returns a hash as it is stored. Raises FieldRejected.
    """

    database: Database[ImportStores]
    names: NameRules
    emails: EmailRules
    read_hash: Callable[[str], str]
    new_id: NewId
    clock: Clock
    audit: Audit
    batch: int = 500

    def __call__(self, rows: Iterable[ForeignUser], *, is_trial: bool = False) -> Iterator[ImportStep]:
        """Yield what has become of the rows, a batch at a time. Raises StorageUnavailable, Conflict.

        Args:
            is_trial: whether only to say what would become of them.
        """
        seen: set[bytes] = set()
        imported = refused = 0
        pending = iter(rows)
        try:
            while batch := list(itertools.islice(pending, self.batch)):
                step = self._step(batch, seen, is_trial=is_trial)
                imported, refused = imported + step.imported, refused + step.refused
                yield step
        finally:  # Also where whoever reads the steps stops: what was imported by then is.
            if not is_trial:
                self.audit.record(events.UsersImported(imported=imported, refused=refused))

    def _step(self, rows: list[ForeignUser], seen: set[bytes], *, is_trial: bool) -> ImportStep:
        outcome = _Outcome()
        wanted: dict[str, tuple[ForeignUser, User]] = {}
        for row in rows:
            try:
                user = self._read(row)
            except InvalidInput as invalid:
                outcome.refuse(row, "; ".join(f"{each.field} {each.description}" for each in invalid.violations))
                continue
            assert user.registration_key
            if user.registration_key in seen:
                outcome.refuse(row, TWICE)
                continue
            seen.add(user.registration_key)
            wanted[user.name.canonical] = row, user
        if wanted:
            holders = self._settle([user for _, user in wanted.values()], is_trial=is_trial)
            for row, user in wanted.values():
                outcome.judge(row, user, holders)
        return outcome.step()

    def _read(self, row: ForeignUser) -> User:
        """Return the account that a row is to become. Raises InvalidInput."""
        fields = Fields()
        name = fields.read("user name", self.names.read, row.user_name)
        email = fields.read("e-mail address", self.emails.read_optional, row.email)
        password_hash = fields.read("password hash", self.read_hash, row.password_hash)
        fields.require_valid()
        assert name is not None
        assert password_hash is not None
        key = hashlib.sha256(f"import\0{name.canonical}".encode()).digest()
        return User(self.new_id(), name, email, password_hash, self.clock(), registration_key=key)

    def _settle(self, users: list[User], *, is_trial: bool) -> Holders:
        deadline = Deadline.after(STEP_SECONDS)
        if not is_trial:
            return self.database.transact(lambda tx: tx.imports.add_each(users), deadline, settle=last_counts)
        names, emails = [user.name.canonical for user in users], [user.email for user in users if user.email]
        there = self.database.read(lambda tx: tx.imports.holders(names, emails), deadline)
        # As if those whose names are free had been added.
        added = {user.name.canonical: (user.id, user.registration_key) for user in users}
        return Holders(added | there.names, {user.email: user.id for user in users if user.email} | there.emails)


@dataclass(slots=True)
class _Outcome:
    """What becomes of the rows of one batch. Lives as long as the batch."""

    imported: int = 0
    present: int = 0
    remarks: list[Remark] = field(default_factory=list)

    def refuse(self, row: ForeignUser, why: str) -> None:
        self.remarks.append(Remark(row.number, row.user_name, why, is_refused=True))

    def judge(self, row: ForeignUser, user: User, holders: Holders) -> None:
        holder, key = holders.names[user.name.canonical]
        if holder != user.id:
            if key == user.registration_key:
                self.present += 1
            else:
                self.refuse(row, TAKEN)
            return
        self.imported += 1
        if user.email and holders.emails[user.email] != user.id:
            self.remarks.append(Remark(row.number, row.user_name, NO_CLAIM, is_refused=False))

    def step(self) -> ImportStep:
        remarks = sorted(self.remarks, key=lambda remark: remark.number)
        return ImportStep(self.imported, self.present, tuple(remarks))
