"""Signing keys, and what is sealed beside them."""

from authservice.domain.events.roots import AuditEvent, Name
from authservice.domain.signing_key import KeyState


class SigningKeyPublished(AuditEvent):
    """A key was made. It signs nothing yet."""

    kid: Name


class SigningKeyActivated(AuditEvent):
    """The key signs from now on, and the one before does not."""

    kid: Name


class SigningKeyRemoved(AuditEvent):
    """The last token that the key signed has expired."""

    kid: Name


class SigningKeyRevoked(AuditEvent):
    """An operator removed the key at once, with every token that it signed. `state` is what it was in."""

    kid: Name
    state: KeyState


class SecretsResealed(AuditEvent):
    """Every secret in the database was sealed under the newest master key."""

    count: int
