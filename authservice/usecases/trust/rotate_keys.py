"""The signing keys' way through their states."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from authservice.domain import events
from authservice.domain.deadline import Deadline
from authservice.domain.second_factor import seal_purpose
from authservice.domain.signing_key import KeyState, RotationPlan, SigningKey
from authservice.ports import (
    Audit,
    Clock,
    Database,
    KeyForge,
    TrustStores,
    first_change_counts,
    last_counts,
)

FACTORS_AT_ONCE = 500


class TooEarly(Exception):
    """The pending key has not been published long enough. `wait` says how much longer."""

    def __init__(self, wait: timedelta) -> None:
        super().__init__(
            f"The pending key is too new: servers may not know it yet. Try again in {wait.total_seconds():.0f} seconds."
        )
        self.wait = wait


class NoSuchKey(Exception):
    """No key has this id."""


@dataclass(frozen=True, slots=True)
class RotateKeys:
    """Keeps one key active and one pending.

    Every move is a conditional update, so replicas that try the same move at once make it once.
    """

    database: Database[TrustStores]
    forge: KeyForge
    plan: RotationPlan
    clock: Clock
    audit: Audit

    def ensure(self, deadline: Deadline) -> None:
        """Make the first active and pending keys where there are none, replace an old active key, remove dead ones."""
        keys = self.all(deadline)
        now = self.clock()
        active = _in_state(keys, KeyState.ACTIVE)
        pending = _in_state(keys, KeyState.PENDING)
        if active is None:
            # Nothing was ever signed, so there is nobody to surprise with a new key.
            self._activate(None, pending or self._add(deadline), now, deadline)
            pending = None
        elif pending and self.plan.is_due(active, now) and self.plan.may_activate(pending, now):
            self._activate(active, pending, now, deadline)
            pending = None
        if pending is None:
            self._add(deadline)
        for key in keys:
            if self.plan.may_remove(key, now):
                self._remove(key, deadline)

    def rotate(self, deadline: Deadline) -> SigningKey:
        """Activate the pending key, retire the active one, make the next pending one. Raises TooEarly."""
        self.ensure(deadline)
        keys = self.all(deadline)
        active, pending = _in_state(keys, KeyState.ACTIVE), _in_state(keys, KeyState.PENDING)
        assert active is not None
        assert pending is not None
        now = self.clock()
        if not self.plan.may_activate(pending, now):
            raise TooEarly(pending.created_at + self.plan.publish_for - now)
        self._activate(active, pending, now, deadline)
        self._add(deadline)
        return pending

    def revoke(self, kid: str, deadline: Deadline) -> None:
        """Remove a key at once, with every token that it signed. If it signs, the pending one takes over.

        For a private key that somebody else may have. Raises NoSuchKey.
        """
        keys = self.all(deadline)
        key = next((key for key in keys if key.kid == kid), None)
        if key is None:
            raise NoSuchKey(kid)
        now = self.clock()

        def work(tx: TrustStores) -> None:
            tx.signing_keys.remove(kid)
            pending = _in_state(keys, KeyState.PENDING)
            if key.state is KeyState.ACTIVE and pending:
                tx.signing_keys.move(pending.kid, KeyState.PENDING, KeyState.ACTIVE, now)

        self.database.transact(work, deadline, settle=last_counts)
        self.audit.record(events.SigningKeyRevoked(kid=kid, state=key.state))
        self.ensure(deadline)

    def all(self, deadline: Deadline) -> list[SigningKey]:
        """Return every key, oldest first."""
        return self.database.read(lambda tx: tx.signing_keys.all(), deadline)

    def reseal(self, deadline: Deadline) -> int:
        """Seal every secret in the database under the newest master key. Returns how many there are."""

        def work(tx: TrustStores) -> int:
            keys, secrets = tx.signing_keys.all(), tx.sealed_secrets.all()
            for key in keys:
                tx.signing_keys.reseal(key.kid, self.forge.reseal(key.sealed_private, key.kid))
            for purpose, sealed in secrets.items():
                tx.sealed_secrets.reseal(purpose, self.forge.reseal(sealed, purpose))
            return len(keys) + len(secrets)

        count = self.database.transact(work, deadline, settle=last_counts)
        after: UUID | None = UUID(int=0)
        while after:  # As many as there are users, so in portions.
            resealed, after = self._reseal_factors(after, deadline)
            count += resealed
        self.audit.record(events.SecretsResealed(count=count))
        return count

    def _reseal_factors(self, after: UUID, deadline: Deadline) -> tuple[int, UUID | None]:
        """Seal the secrets of some authenticator apps anew. Returns how many, and the user to go on after."""

        def work(tx: TrustStores) -> tuple[int, UUID | None]:
            factors = tx.totp_factors.page(after, FACTORS_AT_ONCE)
            for each in factors:
                fresh = self.forge.reseal(each.sealed, seal_purpose(each.user_id))
                tx.totp_factors.reseal(each.user_id, each.sealed, fresh)
            return len(factors), factors[-1].user_id if factors else None

        return self.database.transact(work, deadline, settle=last_counts)

    def _add(self, deadline: Deadline) -> SigningKey:
        key = self.forge.make(self.clock())
        if self.database.transact(lambda tx: tx.signing_keys.add(key), deadline, settle=first_change_counts):
            self.audit.record(events.SigningKeyPublished(kid=key.kid))
        return key

    def _activate(self, active: SigningKey | None, pending: SigningKey, now: datetime, deadline: Deadline) -> None:
        def work(tx: TrustStores) -> bool:
            if active and not tx.signing_keys.move(active.kid, KeyState.ACTIVE, KeyState.RETIRED, now):
                return False
            return tx.signing_keys.move(pending.kid, KeyState.PENDING, KeyState.ACTIVE, now)

        if self.database.transact(work, deadline, settle=first_change_counts):
            self.audit.record(events.SigningKeyActivated(kid=pending.kid))

    def _remove(self, key: SigningKey, deadline: Deadline) -> None:
        self.database.transact(lambda tx: tx.signing_keys.remove(key.kid), deadline, settle=last_counts)
        self.audit.record(events.SigningKeyRemoved(kid=key.kid))


def _in_state(keys: list[SigningKey], state: KeyState) -> SigningKey | None:
    return next((key for key in keys if key.state is state), None)
