"""The master keys, and the service's own secrets that they seal in the database."""

import secrets

from authservice.config import ConfigError, Settings
from authservice.domain.deadline import Deadline
from authservice.ports import Clock, Database, TrustStores, last_counts
from authservice.security.master_key import FILE_NAME, load_or_create
from authservice.security.sealing import Sealer, master_key_from_secret

START_SECONDS = 30.0
"""What reading the keys at start-up may take."""
PEPPER, REFRESH_TOKENS, FINGERPRINTS, OUTBOX = "password-pepper", "refresh-tokens", "fingerprints", "outbox"
SECRET_PURPOSES = (PEPPER, REFRESH_TOKENS, FINGERPRINTS, OUTBOX)


def master_keys(settings: Settings, database: Database[TrustStores]) -> tuple[bytes, ...]:
    """Return the keys that seal the database's secrets, newest first. Raises ConfigError if there is none.

    Without a configured key, the embedded database has a generated one beside it, and the variables of the Node
    application yield one from JWT_SECRET. That one also stays at the end of the list, so that a configured key can take
    over. ConfigError is also raised where it would be the first to seal anything, and can be guessed.
    """
    keys = settings.master_keys()
    if not keys and settings.is_sqlite:
        keys = _generated(settings, database)
    if settings.jwt_secret:
        if not keys and not _is_sealed(database):
            settings.require_strong_secret()  # It would be what seals from now on.
        keys += (master_key_from_secret(settings.jwt_secret.get_secret_value().encode()),)
    if not keys and settings.is_sqlite:
        raise ConfigError(
            f"The secrets in {settings.database_place} are sealed, and the master key is not in "
            f"{(settings.data_dir / FILE_NAME).absolute()}. Put that file back, or set AUTHSERVICE_DATA_DIR, "
            "AUTHSERVICE_MASTER_KEY or AUTHSERVICE_MASTER_KEY_FILE."
        )
    if not keys:
        raise ConfigError(
            "AUTHSERVICE_MASTER_KEY: on MySQL a master key must be configured; every server needs the same one. "
            "Make one with `openssl rand -base64 32`, put it into a file that only this service can read, and set "
            "AUTHSERVICE_MASTER_KEY_FILE. Keep a copy: without it no stored password can be checked."
        )
    return keys


def _generated(settings: Settings, database: Database[TrustStores]) -> tuple[bytes, ...]:
    """Return the key in the data folder, made for a database that holds nothing sealed. None for one that does."""
    if (settings.data_dir / FILE_NAME).exists() or not _is_sealed(database):
        return (load_or_create(settings.data_dir),)
    return ()


def _is_sealed(database: Database[TrustStores]) -> bool:
    return bool(database.read(lambda tx: tx.sealed_secrets.all(), Deadline.after(START_SECONDS)))


def open_secrets(database: Database[TrustStores], sealer: Sealer, clock: Clock) -> dict[str, bytes]:
    """Return the service's own secrets by purpose, after making those that are missing. Raises CannotOpen."""
    deadline = Deadline.after(START_SECONDS)
    sealed = database.read(lambda tx: tx.sealed_secrets.all(), deadline)
    missing = {
        purpose: sealer.seal(secrets.token_bytes(32), purpose) for purpose in SECRET_PURPOSES if purpose not in sealed
    }
    if missing:
        now = clock()

        def add_missing(tx: TrustStores) -> None:
            for purpose, secret in missing.items():
                tx.sealed_secrets.add(purpose, secret, now)

        database.transact(add_missing, deadline, settle=last_counts)
        # Another server may have been faster; what is stored counts.
        sealed = database.read(lambda tx: tx.sealed_secrets.all(), deadline)
    return {purpose: sealer.open(sealed[purpose], purpose) for purpose in SECRET_PURPOSES}
