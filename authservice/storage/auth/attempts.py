"""Attempts to prove who one is."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, Integer, bindparam, case, delete, select, update

from authservice.domain.throttle import COMPARED_WITHIN, Bucket, Count, Tried
from authservice.storage.tables.auth import known_networks, login_attempts, tried_secrets
from authservice.storage.upsert import insert_or_update, insert_unless_there

_NONE = timedelta()

# Each statement is built once: that takes longer than running it, and a login asks nearly all of them.
_attempt, _tried, _network = login_attempts.c, tried_secrets.c, known_networks.c
_UNDER = _attempt.subject == bindparam("under")
_HOLD = select(_attempt.failures, _attempt.next_at, _attempt.expires_at).where(_UNDER).with_for_update()
_KEEP = update(login_attempts).where(_UNDER)
_TAKEN_OFF = bindparam("taken_off", type_=Integer)
_LEFT = case((_attempt.failures > _TAKEN_OFF, _attempt.failures - _TAKEN_OFF), else_=0)
_FORGIVE = update(login_attempts).where(_UNDER).values(failures=_LEFT, next_at=None)
_OF = _tried.fingerprint == bindparam("of")
_IS_REMEMBERED = select(_tried.owner).where(_OF, _tried.expires_at > bindparam("now"))
_FORGET = update(tried_secrets).where(_OF).values(expires_at=bindparam("now"))
_IS_IN_USE = _network.expires_at > bindparam("now")
_IS_KNOWN_NETWORK = select(_network.user_id).where(_network.fingerprint == bindparam("of"), _IS_IN_USE)
_HAS_KNOWN_NETWORKS = select(_network.user_id).where(_network.user_id == bindparam("of"), _IS_IN_USE).limit(1)


class SqlAttempts:
    """See ports.Attempts."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def count(self, subject: bytes, now: datetime, keep_until: datetime) -> int:
        """Add one attempt in one statement, so that parallel ones all count."""
        row = {"subject": subject, "failures": 1, "last_at": now, "expires_at": keep_until}
        insert_or_update(self._connection, login_attempts, row, replaced=["last_at", "expires_at"], added=["failures"])
        query = select(login_attempts.c.failures).where(login_attempts.c.subject == subject)
        return int(self._connection.execute(query).scalar_one())

    def admit(self, buckets: Sequence[Bucket], now: datetime, tried: Tried | None = None) -> timedelta:
        """Count one attempt in each bucket if all of them have room."""
        # Locked in the order of their subjects, so that two such calls do not wait for each other.
        ordered = sorted(buckets, key=lambda bucket: bucket.subject)
        counts = [self._hold(bucket, now) for bucket in ordered]
        if tried and self._is_remembered(tried, now):
            return _NONE
        pairs = list(zip(ordered, counts, strict=True))
        longest = max((bucket.limit.wait(count, now) for bucket, count in pairs), default=_NONE)
        if longest > _NONE:
            return longest
        for bucket, count in pairs:
            self._keep(bucket, bucket.limit.admitted(count, now), now)
        if tried:
            self.remember(tried, now + COMPARED_WITHIN)
        return _NONE

    def clear(self, subject: bytes) -> None:
        """Forget the attempts of a subject."""
        self._connection.execute(delete(login_attempts).where(login_attempts.c.subject == subject))

    def forgive(self, attempts: Mapping[bytes, int]) -> None:
        """Take attempts off subjects."""
        # In the order of `admit`, and no row is deleted: where it was, MySQL would lock the gap, and what others add
        # there meanwhile would be conflicts.
        for subject, count in sorted(attempts.items()):
            self._connection.execute(_FORGIVE, {"under": subject, "taken_off": count})

    def clear_owned(self, owner: bytes) -> int:
        """Forget the attempts on an account, and what was tried."""
        tables = (login_attempts, tried_secrets)
        return sum(self._connection.execute(delete(each).where(each.c.owner == owner)).rowcount for each in tables)

    def remember(self, tried: Tried, until: datetime) -> None:
        """Remember what was tried."""
        row = {"fingerprint": tried.fingerprint, "owner": tried.owner, "expires_at": until}
        insert_or_update(self._connection, tried_secrets, row, replaced=["expires_at"])

    def forget(self, tried: Tried, now: datetime) -> None:
        """Remember no longer what was tried. The row goes with the next clean-up: see `forgive`."""
        self._connection.execute(_FORGET, {"of": tried.fingerprint, "now": now})

    def know_network(self, user_id: UUID, fingerprint: bytes, until: datetime) -> None:
        """Remember that a user has come from a network."""
        row = {"fingerprint": fingerprint, "user_id": user_id, "expires_at": until}
        insert_or_update(self._connection, known_networks, row, replaced=["expires_at"])

    def has_known_networks(self, user_id: UUID, now: datetime) -> bool:
        """Tell whether a user has come from any network."""
        return self._connection.execute(_HAS_KNOWN_NETWORKS, {"of": user_id, "now": now}).first() is not None

    def is_known_network(self, fingerprint: bytes, now: datetime) -> bool:
        """Tell whether a user has come from a network."""
        return self._connection.execute(_IS_KNOWN_NETWORK, {"of": fingerprint, "now": now}).first() is not None

    def _is_remembered(self, tried: Tried, now: datetime) -> bool:
        return self._connection.execute(_IS_REMEMBERED, {"of": tried.fingerprint, "now": now}).first() is not None

    def _hold(self, bucket: Bucket, now: datetime) -> Count:
        """Return what is in a bucket now, locked until the transaction ends."""
        kept = {"subject": bucket.subject, "failures": 0, "last_at": now, "expires_at": now + bucket.limit.kept}
        insert_unless_there(self._connection, login_attempts, **kept, owner=bucket.owner)
        # It locks as well. Any other kind would fix what this transaction sees before the next bucket is locked.
        failures, next_at, expires_at = self._connection.execute(_HOLD, {"under": bucket.subject}).one()
        if expires_at <= now:  # Nobody has cleaned up yet.
            return Count(0, now)
        return Count(failures, next_at or now)

    def _keep(self, bucket: Bucket, count: Count, now: datetime) -> None:
        kept = {"failures": count.attempts, "next_at": count.next_at, "last_at": now, "owner": bucket.owner}
        self._connection.execute(_KEEP, {"under": bucket.subject, **kept, "expires_at": now + bucket.limit.kept})
