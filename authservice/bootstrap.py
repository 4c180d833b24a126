"""The composition root: the only module that knows every concrete class.

Nothing here decides anything; it puts parts together.
"""

import contextlib
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from uuid6 import uuid7

from authservice.config import ConfigError, Settings
from authservice.domain.deadline import Deadline
from authservice.domain.session import SessionLimits
from authservice.domain.signing_key import RotationPlan, SigningKey
from authservice.logs import LogAudit
from authservice.ports import Audit, Clock, Database, Transaction
from authservice.security.access_tokens import SignedAccessTokens
from authservice.security.emails import Emails
from authservice.security.examination import TokenExamination
from authservice.security.fingerprints import KeyedFingerprints
from authservice.security.hash_pool import HashPool
from authservice.security.key_ring import KeyRing, KeySource, SharedSecret
from authservice.security.master_key import load_or_create
from authservice.security.password_rules import GuessabilityRules
from authservice.security.passwords import BcryptPasswords
from authservice.security.refresh_tokens import SealedRefreshTokens
from authservice.security.sealing import Sealer, master_key_from_secret
from authservice.security.signing_keys import Forge
from authservice.security.user_names import PrecisNames
from authservice.storage import schema
from authservice.storage.auth.live_sessions import BatchedLiveSessions
from authservice.storage.auth.session_ends import BatchedSessionEnds
from authservice.storage.database import SqlDatabase
from authservice.storage.engine import Engine, open_engine
from authservice.storage.inspection import ping
from authservice.storage.trust.revocation_log import SqlRevocationLog
from authservice.usecases.admin.operate_users import OperateUsers
from authservice.usecases.auth.explain import Explain
from authservice.usecases.auth.login import Login
from authservice.usecases.auth.logout import Logout
from authservice.usecases.auth.refresh import Refresh
from authservice.usecases.auth.register import Register
from authservice.usecases.auth.verify import Verify
from authservice.usecases.clean_up import CleanUp
from authservice.usecases.steps.issue_tokens import IssueTokens
from authservice.usecases.trust.revocation_feed import RevocationFeed
from authservice.usecases.trust.rotate_keys import RotateKeys

START_SECONDS = 30.0
"""What reading the keys at start-up may take."""
LATE_TOKENS = timedelta(minutes=5)
"""How much longer than a token's life a retired key is kept: leeway of clocks, and servers that learn of it later."""
SPARE_CONNECTIONS = 8
"""Database connections beyond one per call that may run: for upkeep, health and refusals on their way."""
SECRET_PURPOSES = ("password-pepper", "refresh-tokens", "fingerprints")


def now_utc() -> datetime:
    """Return the current time."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Service:
    """Every use case, ready to be called.

    Lives as long as the process; `close` gives its threads and connections back.
    """

    register: Register
    login: Login
    refresh: Refresh
    logout: Logout
    verify: Verify
    operate_users: OperateUsers
    explain: Explain
    rotate_keys: RotateKeys
    clean_up: CleanUp
    token_scope: tuple[str, str]
    """Issuer and audience of access tokens."""
    feed: RevocationFeed
    published_keys: Callable[[], list[SigningKey] | None]
    reload_keys: Callable[[], None]
    when_revoked: Callable[[Callable[[], None]], None]
    ping: Callable[[], None]
    close: Callable[[], None]
    clock: Clock
    hash_pool: HashPool


def master_keys(settings: Settings) -> tuple[bytes, ...]:
    """Return the keys that seal the database's secrets, newest first. Raises ConfigError if there is none.

    Without a configured key, the embedded database has a generated one beside it, and the variables of the Node
    application yield one from JWT_SECRET. That one also stays at the end of the list, so that a configured key can take
    over.
    """
    keys = settings.master_keys()
    if not keys and settings.is_sqlite:
        keys = (load_or_create(settings.data_dir),)
    if settings.jwt_secret:
        keys += (master_key_from_secret(settings.jwt_secret.get_secret_value().encode()),)
    if not keys:
        raise ConfigError(
            "AUTHSERVICE_MASTER_KEY: on MySQL a master key must be configured; every server needs the same one. "
            "Make one with `openssl rand -base64 32`, put it into a file that only this service can read, and set "
            "AUTHSERVICE_MASTER_KEY_FILE. Keep a copy: without it no stored password can be checked."
        )
    return keys


def hash_threads(settings: Settings, cores: int) -> int:
    """Return how many hashes one worker computes at once, so that all workers together keep every core busy."""
    return settings.hash_threads or max(1, cores // worker_count(settings, cores))


def worker_count(settings: Settings, cores: int) -> int:
    """Return how many processes serve."""
    return settings.workers or (1 if settings.is_sqlite else cores)


def assemble(
    settings: Settings,
    *,
    cores: int = 1,
    clock: Clock = now_utc,
    audit: Audit | None = None,
    hash_cost: int | None = None,
    rotation: RotationPlan | None = None,
) -> Service:
    """Put the service together. The database must be migrated. Raises ConfigError, CannotOpen, StorageUnavailable.

    Args:
        hash_cost: bcrypt's work factor in place of the setting, which has a lower limit; for tests.
    """
    audit = audit or LogAudit()
    engine = engine_for(settings, pool_size=settings.threads + settings.hash_queue + SPARE_CONNECTIONS)
    database = SqlDatabase(engine)
    sealer = Sealer(master_keys(settings))
    own = open_secrets(database, sealer, clock)
    forge = Forge(settings.token_algorithm, sealer)
    rotate_keys = RotateKeys(database, forge, rotation or rotation_plan(settings), clock, audit)
    keys = _keys(settings, rotate_keys, forge)
    limits = session_limits(settings)
    hash_pool = HashPool(hash_threads(settings, cores), settings.hash_queue)
    password_rules = GuessabilityRules(settings.password_min_length)
    passwords = BcryptPasswords(own["password-pepper"], hash_pool, hash_cost or settings.bcrypt_cost)
    access_tokens = SignedAccessTokens(settings.issuer, settings.audience, keys)
    refresh_tokens = SealedRefreshTokens(own["refresh-tokens"])
    issue_tokens = IssueTokens(access_tokens, limits)
    live_sessions = BatchedLiveSessions(engine)
    revocation_log = SqlRevocationLog(engine)
    fingerprints = KeyedFingerprints(own["fingerprints"])

    def close() -> None:
        hash_pool.close()
        live_sessions.close()
        revocation_log.close()
        engine.dispose()

    return Service(
        register=Register(
            database, PrecisNames(), Emails(), password_rules, passwords, new_id=uuid7, clock=clock, audit=audit
        ),
        login=Login(
            database=database,
            names=PrecisNames(),
            emails=Emails(),
            passwords=passwords,
            fingerprints=fingerprints,
            refresh_tokens=refresh_tokens,
            issue_tokens=issue_tokens,
            limits=limits,
            new_id=uuid7,
            clock=clock,
            audit=audit,
        ),
        refresh=Refresh(database, refresh_tokens, issue_tokens, limits, clock, audit),
        logout=Logout(database, BatchedSessionEnds(database), access_tokens, refresh_tokens, clock, audit),
        verify=Verify(access_tokens, live_sessions, clock),
        operate_users=OperateUsers(database, PrecisNames(), clock, audit),
        explain=Explain(database, TokenExamination(settings.issuer, settings.audience, keys), clock),
        rotate_keys=rotate_keys,
        clean_up=CleanUp(database, clock),
        token_scope=(settings.issuer, settings.audience),
        feed=RevocationFeed(revocation_log, fingerprints.of("history", "revocations").hex()[:32], clock),
        published_keys=lambda: keys.published,
        reload_keys=keys.reload,
        when_revoked=lambda call: setattr(database, "when_revoked", call),
        ping=lambda: ping(engine),
        close=close,
        clock=clock,
        hash_pool=hash_pool,
    )


def engine_for(settings: Settings, *, pool_size: int) -> Engine:
    """Return an engine for the configured database. It must not cross a fork."""
    url = settings.database_address().get_secret_value()
    return open_engine(url, pool_size=pool_size, ca_file=settings.database_ca_file)


@contextlib.contextmanager
def migrated_engine(settings: Settings) -> Iterator[Engine]:
    """Yield an engine for a database that has the schema of this version. Raises SchemaNotCurrent.

    The embedded file is made and migrated without asking. A shared database is not: other versions of the service may
    be using it.
    """
    if settings.is_sqlite:
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    engine = engine_for(settings, pool_size=2)
    try:
        if settings.is_sqlite:
            schema.migrate(engine)
        schema.require_current(engine)
        yield engine
    finally:
        engine.dispose()


def session_limits(settings: Settings) -> SessionLimits:
    """Return how long sessions and tokens live."""
    return SessionLimits(
        idle=timedelta(seconds=settings.session_idle_seconds),
        absolute=timedelta(seconds=settings.session_seconds),
        access_token=timedelta(seconds=settings.access_token_seconds),
    )


def rotation_plan(settings: Settings) -> RotationPlan:
    """Return when signing keys move on."""
    return RotationPlan(
        keep_for=timedelta(seconds=settings.access_token_seconds) + LATE_TOKENS,
        rotate_after=timedelta(days=settings.key_rotation_days),
    )


def open_secrets(database: Database, sealer: Sealer, clock: Clock) -> dict[str, bytes]:
    """Return the service's own secrets by purpose, after making those that are missing. Raises CannotOpen."""
    deadline = Deadline.after(START_SECONDS)
    sealed = database.transact(lambda tx: tx.sealed_secrets.all(), deadline)
    missing = {
        purpose: sealer.seal(secrets.token_bytes(32), purpose) for purpose in SECRET_PURPOSES if purpose not in sealed
    }
    if missing:
        now = clock()

        def add_missing(tx: Transaction) -> None:
            for purpose, secret in missing.items():
                tx.sealed_secrets.add(purpose, secret, now)

        database.transact(add_missing, deadline)
        # Another server may have been faster; what is stored counts.
        sealed = database.transact(lambda tx: tx.sealed_secrets.all(), deadline)
    return {purpose: sealer.open(sealed[purpose], purpose) for purpose in SECRET_PURPOSES}


def _keys(settings: Settings, rotate_keys: RotateKeys, forge: Forge) -> KeySource:
    if settings.jwt_secret:
        return SharedSecret(settings.jwt_secret.get_secret_value().encode())
    rotate_keys.ensure(Deadline.after(START_SECONDS))
    ring = KeyRing(lambda: rotate_keys.all(Deadline.after(START_SECONDS)), forge)
    ring.reload()
    return ring
