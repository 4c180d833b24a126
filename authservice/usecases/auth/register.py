"""Register: create an account."""

import hashlib
from dataclasses import dataclass, field

from authservice.domain import events
from authservice.domain.deadline import Deadline
from authservice.domain.errors import UserNameTaken
from authservice.domain.fields import Fields, idempotency_key
from authservice.domain.user import User, UserName
from authservice.ports import (
    Audit,
    AuthStores,
    Clock,
    Database,
    EmailRules,
    Fingerprints,
    NameRules,
    NewId,
    PasswordRules,
    Passwords,
    last_counts,
)
from authservice.usecases.steps.admit_request import AdmitRequest
from authservice.usecases.steps.person import add_user, retired_name


@dataclass(frozen=True, slots=True)
class Registration:
    """What a caller sends to register."""

    user_name: str
    password: str = field(repr=False)
    email: str = ""
    idempotency_key: str = field(default="", repr=False)
    network: str = ""


@dataclass(frozen=True, slots=True)
class Register:
    """Creates accounts."""

    database: Database[AuthStores]
    names: NameRules
    emails: EmailRules
    password_rules: PasswordRules
    passwords: Passwords
    admit: AdmitRequest
    fingerprints: Fingerprints
    new_id: NewId
    clock: Clock
    audit: Audit

    def __call__(self, request: Registration, deadline: Deadline) -> User:
        """Create the account and return it, or return the one that the same idempotency key created.

        Raises InvalidInput, UserNameTaken, Throttled, Overloaded, DeadlineTooShort, StorageUnavailable, Conflict.
        """
        self.passwords.require_room()
        name, email, key = self._read(request)
        # Asked before the password is hashed, so that a taken name costs no hash. The unique key decides in the end.
        if existing := self.database.read(lambda tx: self._holder(tx, name, key), deadline):
            return existing
        self.admit(request.network, deadline)
        user = User(
            id=self.new_id(),
            name=name,
            email=email,
            password_hash=self.passwords.hash(request.password, deadline),
            created_at=self.clock(),
            registration_key=key,
        )
        stored = self.database.transact(lambda tx: add_user(tx, user, self.fingerprints), deadline, settle=last_counts)
        if stored.id == user.id:
            self.audit.record(events.UserRegistered(user_id=user.id, user_name=name.typed))
        return stored

    def _read(self, request: Registration) -> tuple[UserName, str | None, bytes | None]:
        fields = Fields()
        name = fields.read("user_name", self.names.read, request.user_name)
        email = fields.read("email", self.emails.read, request.email)
        key = fields.read("idempotency_key", idempotency_key, request.idempotency_key)
        fields.read("password", self.password_rules.read, request.password, [request.user_name, request.email])
        fields.require_valid()
        assert name is not None
        return name, email, hashlib.sha256(key.encode("ascii")).digest() if key else None

    def _holder(self, tx: AuthStores, name: UserName, key: bytes | None) -> User | None:
        """Return the account that the same call created earlier, or None if the name is free. Raises UserNameTaken."""
        holder = tx.users.by_name(name.canonical)
        if holder is not None and (key is None or holder.registration_key != key):
            raise UserNameTaken
        if holder is None and tx.users.is_retired(retired_name(name.canonical, self.fingerprints)):
            raise UserNameTaken
        return holder
