"""Admitting an attempt to prove who one is, before it is known whether it succeeds. See domain/throttle.py."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from authservice.domain import events
from authservice.domain.deadline import Deadline
from authservice.domain.errors import Throttled
from authservice.domain.throttle import (
    ALL,
    FROM_A_KNOWN_NETWORK,
    IN_A_ROW,
    WORTH,
    Bucket,
    Growing,
    Tried,
)
from authservice.domain.user import User
from authservice.ports import Audit, AuthStores, Clock, Database, Fingerprints, last_counts

WRONG_KEPT = timedelta(hours=1)
"""How long a wrong password is remembered, so that a program that repeats an old one is not an attack."""
_NOBODY = UUID(int=0)
NETWORK_KEPT = timedelta(days=90)
"""How long a network is known after the last login from there."""


def account_of(user_id: UUID, fingerprints: Fingerprints) -> bytes:
    """Return what the attempts on an account are counted under, however the user spelled its name."""
    return fingerprints.of("user", str(user_id))


def pair_of(account: bytes, network: str, fingerprints: Fingerprints) -> bytes:
    """Return what the attempts on an account from one network are counted under."""
    return fingerprints.of("user_network", f"{account.hex()}\0{network}")


def admit(tx: AuthStores, buckets: Sequence[Bucket], now: datetime, tried: Tried | None = None) -> None:
    """Count an attempt. Raises Throttled, which takes back what the transaction has done: a refusal leaves no row."""
    if wait := tx.attempts.admit(buckets, now, tried):
        raise Throttled(wait.total_seconds())


@dataclass(frozen=True, slots=True)
class Limits:
    """What is admitted from networks that a user is not known to come from.

    Args:
        pair: on one account.
        network: on all accounts together. None where networks are not counted.
    """

    pair: Growing
    network: Growing | None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt, and where it stands.

    Args:
        user_id: whose account it is; None where there is none of this name.
        account: 32 bytes that stand for the account, however its name was spelled, or for what was typed.
        pair: the same, from one network.
        network: 32 bytes that stand for the network.
        tried: what was sent to prove who one is; None for an attempt that an earlier call has counted, or that needs no
            count.
        is_known: whether the user has logged in lately from this network.
        is_from_a_new_place: whether the user has logged in before, and not lately from this network. Looked for only
            where somebody wants to know.
    """

    user_id: UUID | None
    account: bytes
    pair: bytes
    network: bytes
    tried: Tried | None
    is_known: bool
    is_from_a_new_place: bool

    def succeeded(self, tx: AuthStores, user: User, now: datetime) -> None:
        """Empty the buckets of the account, in the transaction of what the attempt was for."""
        tx.attempts.forgive({self.account: ALL, self.pair: ALL, self.network: WORTH})
        if self.tried:
            tx.attempts.forget(self.tried, now)
        tx.attempts.know_network(user.id, self.pair, now + NETWORK_KEPT)


@dataclass(frozen=True, slots=True)
class AdmitAttempt:
    """Counts attempts: on accounts, on names that do not exist, and from networks.

    Args:
        tells_new_places: whether to look if a network is new to a user.
    """

    database: Database[AuthStores]
    fingerprints: Fingerprints
    limits: Limits
    tells_new_places: bool
    clock: Clock
    audit: Audit

    def prepare(self, tx: AuthStores, user: User | None, name: str, secret: str, network: str) -> Attempt:
        """Return an attempt that is to be counted, in the transaction that has read the user.

        Args:
            user: whose account it is; None where there is none of this name.
            name: in its canonical form, where it has one.
            secret: what is going to be compared.
            network: where the call came from.
        """
        return self._placed(tx, user, name, secret, network)

    def admitted_before(self, tx: AuthStores, user: User, network: str) -> Attempt:
        """Return an attempt that an earlier call has counted, or that needs no count, and may succeed now."""
        return self._placed(tx, user, user.name.canonical, None, network)

    def __call__(self, attempt: Attempt, deadline: Deadline) -> None:
        """Count an attempt.

        Raises Throttled, DeadlineTooShort, StorageUnavailable, Conflict.
        """
        now, buckets = self.clock(), self._buckets(attempt)
        # A transaction of its own, which begins with what locks: after another read, parallel attempts would be
        # conflicts.
        try:
            self.database.transact(lambda tx: admit(tx, buckets, now, attempt.tried), deadline, settle=last_counts)
        except Throttled:
            self.audit.record(events.AttemptThrottled(user_id=attempt.user_id))
            raise

    def failed(self, attempt: Attempt, deadline: Deadline) -> None:
        """Remember what was sent as wrong."""
        tried, until = attempt.tried, self.clock() + WRONG_KEPT
        assert tried
        self.database.transact(lambda tx: tx.attempts.remember(tried, until), deadline, settle=last_counts)

    def _placed(self, tx: AuthStores, user: User | None, name: str, secret: str | None, network: str) -> Attempt:
        of, now = self.fingerprints.of, self.clock()
        account = account_of(user.id, self.fingerprints) if user else of("unknown_user", name)
        pair = pair_of(account, network, self.fingerprints)
        tried = None
        if secret is not None:
            # A password that is set anew has wrong ones of its own. And each network has its own: what the owner has
            # sent from one is no oracle at another.
            sent = f"{pair.hex()}\0{user.password_hash if user else ''}\0{secret}"
            tried = Tried(of("tried", sent), account)
        is_known = tx.attempts.is_known_network(pair, now)
        # Asked for nobody as well, so that the time does not tell who exists.
        has_others = self.tells_new_places and tx.attempts.has_known_networks(user.id if user else _NOBODY, now)
        is_new = has_others and not is_known
        return Attempt(user.id if user else None, account, pair, of("network", network), tried, is_known, is_new)

    def _buckets(self, attempt: Attempt) -> list[Bucket]:
        if attempt.is_known:
            return [Bucket(attempt.pair, FROM_A_KNOWN_NETWORK, attempt.account)]
        buckets = [
            Bucket(attempt.account, IN_A_ROW, attempt.account),
            Bucket(attempt.pair, self.limits.pair, attempt.account),
        ]
        if self.limits.network:
            buckets.append(Bucket(attempt.network, self.limits.network))
        return buckets
