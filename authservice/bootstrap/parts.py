"""What the areas are built on: made once for each process."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime

from authservice.bootstrap.databases import engine_for
from authservice.bootstrap.secrets import FINGERPRINTS, master_keys, open_secrets
from authservice.bootstrap.signing import open_keys
from authservice.bootstrap.sizes import hash_threads, pool_size, rotation_plan
from authservice.config import Settings
from authservice.domain.clocks import uptime
from authservice.domain.signing_key import RotationPlan
from authservice.logs import LogAudit
from authservice.ports import Audit, Clock
from authservice.security.fingerprints import KeyedFingerprints
from authservice.security.hash_pool import HashPool
from authservice.security.key_ring import KeySource
from authservice.security.sealing import Sealer
from authservice.security.signing_keys import Forge
from authservice.storage.auth.live_sessions import BatchedLiveSessions
from authservice.storage.clock import DatabaseClock, database_clock
from authservice.storage.database import SqlDatabase
from authservice.storage.embedded_file import FileId
from authservice.storage.engine import Engine, is_sqlite
from authservice.storage.inspection import ping
from authservice.storage.trust.revocation_log import SqlRevocationLog
from authservice.usecases.trust.rotate_keys import RotateKeys


def now_utc() -> datetime:
    """Return the current time."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Parts:
    """Lives as long as the process; `close` gives its threads and connections back.

    Attributes:
        own_secrets: the service's own secrets, by purpose.
        hash_cost: bcrypt's work factor of new hashes.
    """

    settings: Settings
    engine: Engine
    database: SqlDatabase
    live_sessions: BatchedLiveSessions
    revocation_log: SqlRevocationLog
    own_secrets: dict[str, bytes] = field(repr=False)
    sealer: Sealer
    fingerprints: KeyedFingerprints
    keys: KeySource
    rotate_keys: RotateKeys
    hash_pool: HashPool
    hash_cost: int
    clock: Clock
    audit: Audit

    def ping(self) -> None:
        """Ask the database for the simplest answer, whether it may be written to, and the time.

        Raises StorageUnavailable, also if the database's clock and this machine's contradict each other.
        """
        asked_at = uptime()
        theirs = self.live_sessions.ping()
        if isinstance(self.clock, DatabaseClock) and theirs:
            self.clock.told(theirs, asked_at)
        ping(self.engine)
        self.clock()

    def close(self) -> None:
        """Give threads and connections back."""
        self.hash_pool.close()
        self.live_sessions.close()
        self.revocation_log.close()
        self.engine.dispose()


def make_parts(
    settings: Settings,
    *,
    cores: int = 1,
    hash_cores: Collection[int] = (),
    clock: Clock | None = None,
    audit: Audit | None = None,
    hash_cost: int | None = None,
    rotation: RotationPlan | None = None,
    file: FileId | None = None,
) -> Parts:
    """Return the parts for a migrated database. Raises ConfigError, CannotOpen, StorageUnavailable.

    Args:
        cores: how many there are for all workers together.
        clock: in place of the database's, or of this machine's where the database is a file; for tests.
        hash_cores: those that hashes may be computed on, where the process keeps to fewer.
        hash_cost: in place of the setting, which has a lower limit; for tests.
        rotation: in place of what follows from the settings; for tests.
        file: which one the embedded database is, if that is known. See embedded_file.Files.
    """
    audit = audit or LogAudit()
    engine = engine_for(settings, pool_size=pool_size(settings), file=file)
    database = SqlDatabase(engine)
    sealer = Sealer(master_keys(settings, database))
    clock = clock or (now_utc if is_sqlite(engine) else database_clock(engine))
    own_secrets = open_secrets(database, sealer, clock)
    forge = Forge(settings.token_algorithm, sealer)
    # The one story that is a part as well: there are no keys before it has made the first.
    rotate_keys = RotateKeys(database, forge, rotation or rotation_plan(settings), clock, audit)
    return Parts(
        settings=settings,
        engine=engine,
        database=database,
        live_sessions=BatchedLiveSessions(engine),
        revocation_log=SqlRevocationLog(engine),
        own_secrets=own_secrets,
        sealer=sealer,
        fingerprints=KeyedFingerprints(own_secrets[FINGERPRINTS]),
        keys=open_keys(settings, rotate_keys, forge),
        rotate_keys=rotate_keys,
        hash_pool=HashPool(hash_threads(settings, cores), settings.hash_queue, cores=hash_cores),
        hash_cost=hash_cost or settings.bcrypt_cost,
        clock=clock,
        audit=audit,
    )
