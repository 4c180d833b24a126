"""Passkeys: key pairs of users' devices, which prove their owners by signatures (WebAuthn level 3).

A passkey proves possession of a device; one that asks its owner for a PIN or a finger before it signs proves two things
at once, and may be the only thing that a login asks for.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

POSSESSION = ("pop",)
"""What a signature proves, as RFC 8176 names: possession of a key."""
MOST_PASSKEYS = 20
"""What one user may have."""
CEREMONY_LIFE = timedelta(minutes=5)
"""Long enough to find the device."""


@dataclass(frozen=True, slots=True)
class NewPasskey:
    """What a device has made.

    Args:
        credential_id: by which the device knows the key; at most 1023 bytes.
        public_key: a COSE key (RFC 9052), as the device sent it.
        sign_count: how often the device says that it has signed; zero for those that do not count.
        transports: how browsers may reach the device, as they named it.
        is_backed_up: whether it is on more devices than one.
    """

    credential_id: bytes
    public_key: bytes = field(repr=False)
    sign_count: int
    transports: tuple[str, ...]
    is_backed_up: bool


@dataclass(frozen=True, slots=True)
class Passkey:
    """A passkey of a user. `name` is what they call it, `last_used_at` when it proved them last."""

    id: UUID
    user_id: UUID
    credential_id: bytes
    public_key: bytes = field(repr=False)
    sign_count: int
    transports: tuple[str, ...]
    is_backed_up: bool
    name: str
    created_at: datetime
    last_used_at: datetime | None = None

    def is_behind(self, sign_count: int) -> bool:
        """Tell whether a count should have been higher: there may be a copy of the key.

        It is noted and not refused (WebAuthn section 6.1.1): devices that share a key do not share its count, and most
        do not count at all.
        """
        return bool(self.sign_count or sign_count) and sign_count <= self.sign_count


@dataclass(frozen=True, slots=True)
class Signed:
    """A signature that is right.

    Args:
        is_verified: whether the device has asked its owner for a PIN, a finger or a face.
    """

    sign_count: int
    is_backed_up: bool
    is_verified: bool


@dataclass(frozen=True, slots=True)
class Ceremony:
    """What a browser is asked for.

    Args:
        token: says later what was asked, to be sent back with the browser's answer.
        options: for `navigator.credentials`, as JSON.
        expires_at: when the answer comes too late.
    """

    token: str = field(repr=False)
    options: str
    expires_at: datetime
