"""What stories about keys and revocations need."""

from datetime import datetime
from typing import Protocol

from authservice.domain.revocation import Revocation
from authservice.domain.signing_key import KeyState, SigningKey


class SigningKeys(Protocol):
    """The signing keys in all states."""

    def all(self) -> list[SigningKey]:
        """Return every key, oldest first."""

    def add(self, key: SigningKey) -> bool:
        """Keep a new pending key, unless there is a pending one already. Tells whether it was kept."""

    def move(self, kid: str, before: KeyState, after: KeyState, now: datetime) -> bool:
        """Move a key from one state to another. Tells whether it was in the first."""

    def remove(self, kid: str) -> None:
        """Delete a key."""

    def reseal(self, kid: str, sealed_private: bytes) -> None:
        """Replace the sealed form of a private key."""


class SealedSecrets(Protocol):
    """The service's own secrets, encrypted under the master key, one current secret per purpose."""

    def all(self) -> dict[str, bytes]:
        """Return purpose and sealed secret of each."""

    def add(self, purpose: str, sealed: bytes, now: datetime) -> None:
        """Keep a new secret, unless the purpose has one already."""

    def reseal(self, purpose: str, sealed: bytes) -> None:
        """Replace the sealed form of a secret."""


class RevocationLog(Protocol):
    """The rules about revoked tokens, for the feed."""

    def after(self, seq: int) -> list[Revocation]:
        """Return the rules with a higher number that are committed, in order.

        A rule with a lower number may be committed later.
        """

    def counted_after(self, seq: int, now: datetime) -> tuple[list[Revocation], int]:
        """Return the same, and in the same read how many rules in all still matter at `now`."""

    def all(self, now: datetime) -> list[Revocation]:
        """Return every rule that still matters at `now`, in order."""


class KeyForge(Protocol):
    """Makes signing keys and opens what is sealed."""

    def make(self, now: datetime) -> SigningKey:
        """Return a new pending key."""

    def reseal(self, sealed: bytes, purpose: str) -> bytes:
        """Return the same secret sealed under the newest master key."""


class PublishedKeys(Protocol):
    """The keys that services verify with."""

    @property
    def published(self) -> list[SigningKey] | None:
        """Every key, or None where that is a secret. A list that has not changed is the same object."""

    def reload(self) -> None:
        """Take over what has changed since. Raises StorageUnavailable, CannotOpen."""
