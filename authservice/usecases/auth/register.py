"""Register: create an account."""

import hashlib
from dataclasses import dataclass, field, replace

from authservice.domain import events
from authservice.domain.deadline import Deadline
from authservice.domain.errors import (
    FieldRejected,
    InvalidInput,
    OneTimeTokenInvalid,
    RegistrationClosed,
    UserNameTaken,
    Violation,
)
from authservice.domain.fields import Fields, bounded_text, idempotency_key
from authservice.domain.mail import REQUESTS_KEPT, Letter, MailKind
from authservice.domain.registration import Admission
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
from authservice.usecases.steps.one_time_tokens import Invitation, RedeemToken
from authservice.usecases.steps.person import add_user, retired_name
from authservice.usecases.steps.send_mail import SendMail

MOST_OF_A_TOKEN = 4096


@dataclass(frozen=True, slots=True)
class Registration:
    """What a caller sends to register."""

    user_name: str
    password: str = field(repr=False)
    email: str = ""
    idempotency_key: str = field(default="", repr=False)
    network: str = ""
    invitation_token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Register:
    """Creates accounts.

    Args:
        confirms_emails: whether an address has to be confirmed before the first login.
    """

    database: Database[AuthStores]
    names: NameRules
    emails: EmailRules
    password_rules: PasswordRules
    passwords: Passwords
    admit: AdmitRequest
    redeem: RedeemToken
    send_mail: SendMail
    admission: Admission
    confirms_emails: bool
    fingerprints: Fingerprints
    new_id: NewId
    clock: Clock
    audit: Audit

    def __call__(self, request: Registration, deadline: Deadline) -> User:
        """Create the account and return it, or return the one that the same idempotency key created.

        Raises InvalidInput, UserNameTaken, RegistrationClosed, OneTimeTokenInvalid, Throttled, Overloaded,
        DeadlineTooShort, StorageUnavailable, Conflict.
        """
        if self.admission is Admission.CLOSED:
            raise RegistrationClosed
        self.passwords.require_room()
        name, email, key = self._read(request)
        self.admit(request.network, deadline)
        # Asked before the password is hashed, so that a taken name costs no hash. The unique key decides in the end.
        holder, is_retired = self.database.read(lambda tx: self._holder(tx, name), deadline)
        if holder and key is not None and holder.registration_key == key:
            return holder
        # Before it is said whether a name is taken: that is for those who may register.
        invitation = self._invitation(request, email, deadline)
        if holder or is_retired:
            raise UserNameTaken
        user = User(
            id=self.new_id(),
            name=name,
            email=invitation.address if invitation else email,
            password_hash=self.passwords.hash(request.password, deadline),
            created_at=self.clock(),
            registration_key=key,
        )
        asked = self.send_mail.draft(MailKind.VERIFY_EMAIL_ASKED, REQUESTS_KEPT, identifier=name.typed)
        stored = self.database.transact(
            lambda tx: self._store(tx, user, invitation, asked), deadline, settle=last_counts
        )
        if stored.id == user.id:
            self.audit.record(events.UserRegistered(user_id=user.id, user_name=name.typed))
        return stored

    def _read(self, request: Registration) -> tuple[UserName, str | None, bytes | None]:
        fields = Fields()
        name = fields.read("user_name", self.names.read, request.user_name)
        email = fields.read("email", self._email, request)
        key = fields.read("idempotency_key", idempotency_key, request.idempotency_key)
        fields.read("password", self.password_rules.read, request.password, [request.user_name, request.email])
        fields.read("invitation_token", self._invitation_text, request.invitation_token)
        fields.require_valid()
        assert name is not None
        return name, email, hashlib.sha256(key.encode("ascii")).digest() if key else None

    def _holder(self, tx: AuthStores, name: UserName) -> tuple[User | None, bool]:
        """Return whose the name is, and whether it was that of somebody whose account was erased."""
        return tx.users.by_name(name.canonical), tx.users.is_retired(retired_name(name.canonical, self.fingerprints))

    def _email(self, request: Registration) -> str | None:
        email = self.emails.read_optional(request.email)
        is_needed = self.confirms_emails and self.admission is not Admission.OPERATOR
        if email is None and is_needed and not request.invitation_token:
            raise FieldRejected("is required, and has to be confirmed before the first login")
        return email

    def _invitation_text(self, text: str) -> str:
        if not text and self.admission is Admission.INVITED:
            raise FieldRejected("is required: only who was invited may register")
        return bounded_text(text, most=MOST_OF_A_TOKEN)

    def _invitation(self, request: Registration, email: str | None, deadline: Deadline) -> Invitation | None:
        if not request.invitation_token:
            return None
        invitation = self.redeem.look_at_invitation(request.invitation_token, deadline)
        if email not in (None, invitation.address):
            raise InvalidInput(Violation("email", "has to be the address that was invited, or empty"))
        return invitation

    def _store(self, tx: AuthStores, user: User, invitation: Invitation | None, asked: Letter) -> User:
        stored = add_user(tx, user, self.fingerprints)
        if stored.id != user.id:
            return stored
        if invitation:
            self._spend(tx, user, invitation)
        elif self.confirms_emails and user.email:
            self.send_mail(tx, replace(asked, user_id=user.id))
        return stored

    def _spend(self, tx: AuthStores, user: User, invitation: Invitation) -> None:
        is_spent = tx.one_time_tokens.spend(invitation.token, invitation.call_id, user.created_at, user.id)
        if not is_spent and not self.redeem.has_spent(tx, invitation):
            raise OneTimeTokenInvalid
        # It was read there, and nobody has confirmed it meanwhile.
        if not tx.email_claims.confirm(invitation.address, user.id, user.created_at):
            raise OneTimeTokenInvalid
