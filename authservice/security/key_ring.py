"""This process's copy of the signing keys, and the shared secret that can stand in their place."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import structlog
from authclient import VerificationKey

from authservice.domain.errors import StorageUnavailable
from authservice.domain.signing_key import KeyState, SigningKey
from authservice.security.sealing import CannotOpen
from authservice.security.signing_keys import Forge, PrivateKey, verification_key

log = structlog.get_logger()

MISS_COOLDOWN = 30.0
"""Seconds between two reloads that unknown key ids cause, so that a flood of them costs the database nothing."""


@dataclass(frozen=True, slots=True)
class Signer:
    """The key that signs new tokens."""

    kid: str
    alg: str
    key: PrivateKey | bytes = field(repr=False)


class Keys(Protocol):
    """Where access tokens find their keys."""

    def find(self, kid: str) -> VerificationKey | None:
        """Return the verification key with this id."""

    def signer(self) -> Signer:
        """Return the key that signs now."""


class SharedSecret:
    """One HS256 secret for signing and verifying, from JWT_SECRET. Raises ValueError if it has fewer than 32 bytes."""

    KID = "jwt-secret"

    def __init__(self, secret: bytes) -> None:
        self._verification = VerificationKey(self.KID, "HS256", secret)
        self._signer = Signer(self.KID, "HS256", secret)

    def find(self, kid: str) -> VerificationKey | None:
        """Return the secret if the token names it."""
        return self._verification if kid == self.KID else None

    def signer(self) -> Signer:
        """Return the secret."""
        return self._signer


class KeyRing:
    """The managed keys, reloaded in the background. Lives as long as the process; safe for many threads.

    If the database is away the last good set stays in use: an outage there must not refuse good tokens as badly signed.

    Args:
        load: reads every key from the database. May raise StorageUnavailable.
        forge: opens private keys.
    """

    def __init__(self, load: Callable[[], list[SigningKey]], forge: Forge) -> None:
        self._load = load
        self._forge = forge
        self._reloading = threading.Lock()
        self._next_miss = 0.0
        self._keys: dict[str, VerificationKey] = {}
        self._signer: Signer | None = None

    def find(self, kid: str) -> VerificationKey | None:
        """Return the verification key with this id, after a reload if it is unknown and none happened lately."""
        if kid not in self._keys and self._may_reload_on_miss():
            self._reload_quietly()
        return self._keys.get(kid)

    def signer(self) -> Signer:
        """Return the active key. Raises StorageUnavailable if none could be loaded yet."""
        if self._signer is None:
            self.reload()
        if self._signer is None:
            raise StorageUnavailable
        return self._signer

    def reload(self) -> None:
        """Take the keys as the database has them. Raises StorageUnavailable, CannotOpen."""
        with self._reloading:
            keys = self._load()
            # Before the signer: whatever becomes of that, tokens can be verified.
            self._keys = {key.kid: self._keys.get(key.kid) or verification_key(key) for key in keys}
            active = next((key for key in keys if key.state is KeyState.ACTIVE), None)
            if active is None:
                self._signer = None
            elif self._signer is None or self._signer.kid != active.kid:
                self._signer = Signer(active.kid, active.alg, self._forge.open(active))

    def _may_reload_on_miss(self) -> bool:
        now = time.monotonic()
        if now < self._next_miss:
            return False
        self._next_miss = now + MISS_COOLDOWN
        return True

    def _reload_quietly(self) -> None:
        try:
            self.reload()
        except (StorageUnavailable, CannotOpen) as error:
            log.warning("keys_not_reloaded", error=type(error).__name__)  # The last good set stays.
