"""The keys that sign access tokens."""

from authservice.bootstrap.secrets import START_SECONDS
from authservice.config import TokenSettings
from authservice.domain.deadline import Deadline
from authservice.security.key_ring import KeyRing, KeySource, SharedSecret
from authservice.security.signing_keys import Forge
from authservice.usecases.trust.rotate_keys import RotateKeys


def open_keys(settings: TokenSettings, rotate_keys: RotateKeys, forge: Forge) -> KeySource:
    """Return the keys, after making the first ones if there are none. Raises CannotOpen, StorageUnavailable."""
    if settings.jwt_secret:
        return SharedSecret(settings.jwt_secret.get_secret_value().encode())
    rotate_keys.ensure(Deadline.after(START_SECONDS))
    ring = KeyRing(lambda: rotate_keys.all(Deadline.after(START_SECONDS)), forge)
    ring.reload()
    return ring
