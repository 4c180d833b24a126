"""This process's copy of the signing keys, and the shared secret that can stand in their place."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import structlog
from authclient import VerificationKey
from authclient._tokens.signing import PrivateKey

from authservice.domain.errors import StorageUnavailable
from authservice.domain.signing_key import KeyState, SigningKey
from authservice.security.sealing import CannotOpen
from authservice.security.signing_keys import Forge, verification_key

log = structlog.get_logger()

PUBLISHED_FIRST = 2.0
"""Seconds that this process publishes a key before it signs with it. Longer than the others take to learn of it, each
of whom may be asked by a service for the key of the first token."""
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


class KeySource(Keys, Protocol):
    """Keys that change.

    `published` is every key that services may verify with, or None where that is a secret. A list that has not changed
    is the same object.
    """

    @property
    def published(self) -> list[SigningKey] | None: ...

    def reload(self) -> None:
        """Take over what has changed since. Raises StorageUnavailable, CannotOpen."""


class SharedSecret:
    """One HS256 secret for signing and verifying, from JWT_SECRET. Raises ValueError if it has fewer than 32 bytes."""

    KID = "jwt-secret"
    published = None

    def __init__(self, secret: bytes) -> None:
        self._verification = VerificationKey(self.KID, "HS256", secret)
        self._signer = Signer(self.KID, "HS256", secret)

    def find(self, kid: str) -> VerificationKey | None:
        """Return the secret if the token names it."""
        return self._verification if kid == self.KID else None

    def signer(self) -> Signer:
        """Return the secret."""
        return self._signer

    def reload(self) -> None:
        """Do nothing: the secret changes with the settings only."""


class KeyRing:
    """The managed keys, reloaded in the background. Lives as long as the process; safe for many threads.

    If the database is away the last good set stays in use: an outage there must not refuse good tokens as badly signed.
    A key that has become active signs once it has been published from here for a moment; until then the one before goes
    on.

    Args:
        load: reads every key from the database. May raise StorageUnavailable.
        forge: opens private keys.
    """

    def __init__(
        self,
        load: Callable[[], list[SigningKey]],
        forge: Forge,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._load = load
        self._forge = forge
        self._monotonic = monotonic
        self.published: list[SigningKey] = []
        self._published_at: dict[str, float] = {}
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
            now = self._monotonic()
            self._published_at = {key.kid: self._published_at.get(key.kid, now) for key in keys}
            if keys != self.published:
                self.published = keys
            self._choose_signer(next((key for key in keys if key.state is KeyState.ACTIVE), None), now)

    def _choose_signer(self, active: SigningKey | None, now: float) -> None:
        if active is None:
            self._signer = None
        elif (
            self._signer is None
            or self._signer.kid not in self._keys
            or (self._signer.kid != active.kid and now >= self._published_at[active.kid] + PUBLISHED_FIRST)
        ):
            self._signer = Signer(active.kid, active.alg, self._forge.open(active))

    def _may_reload_on_miss(self) -> bool:
        now = self._monotonic()
        if now < self._next_miss:
            return False
        self._next_miss = now + MISS_COOLDOWN
        return True

    def _reload_quietly(self) -> None:
        try:
            self.reload()
        except StorageUnavailable:
            pass  # The last good set stays. Whoever reloads now and then says that the database is away.
        except CannotOpen as error:
            log.warning("keys_not_reloaded", error=type(error).__name__)
