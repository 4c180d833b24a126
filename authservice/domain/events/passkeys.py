"""Passkeys are added, used, renamed and removed."""

from uuid import UUID

from authservice.domain.events.roots import AuditEvent


class PasskeyAdded(AuditEvent):
    """A user registered a passkey."""

    user_id: UUID
    passkey_id: UUID


class PasskeyRenamed(AuditEvent):
    """A user gave a passkey another name."""

    user_id: UUID
    passkey_id: UUID


class PasskeyRemoved(AuditEvent):
    """A user removed a passkey, and all other sessions were ended."""

    user_id: UUID
    passkey_id: UUID
    ended: int


class PasskeyUsed(AuditEvent):
    """A passkey proved its owner, at a login or a step-up."""

    user_id: UUID
    passkey_id: UUID


class PasskeyBehind(AuditEvent):
    """The count of signatures of a passkey that proved its owner has not grown: there may be a copy of it."""

    user_id: UUID
    passkey_id: UUID


class PasskeyRefused(AuditEvent):
    """The answer of a browser did not fit. Null where it names no passkey of ours."""

    user_id: UUID | None
