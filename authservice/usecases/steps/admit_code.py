"""Admitting a code of a second factor, before it is looked at. See domain/throttle.py."""

from dataclasses import dataclass
from uuid import UUID

from authservice.domain import events
from authservice.domain.deadline import Deadline
from authservice.domain.errors import Throttled
from authservice.domain.throttle import ALL, FROM_A_KNOWN_NETWORK, IN_A_ROW, Bucket, Growing
from authservice.ports import Audit, AuthStores, Clock, Database, Fingerprints, last_counts
from authservice.usecases.steps.admit_attempt import account_of, admit, pair_of


def codes_of(user_id: UUID, fingerprints: Fingerprints) -> bytes:
    """Return whose the counts of codes are: not those of passwords, which a new password empties."""
    return fingerprints.of("owner_of_codes", str(user_id))


@dataclass(frozen=True, slots=True)
class CodeAttempt:
    """One code that was admitted, by what it was counted under."""

    account: bytes
    pair: bytes

    def succeeded(self, tx: AuthStores) -> None:
        """Empty the buckets, in the transaction in which the code is used up."""
        tx.attempts.forgive({self.account: ALL, self.pair: ALL})


@dataclass(frozen=True, slots=True)
class AdmitCode:
    """Counts codes by account, and by account and network: apart from passwords, and under the same limits.

    Whoever sends codes knows the password or has a session. Of a million codes two are good at a time, so that the
    hundred that are looked at in a row find one in 5,000 cases.

    Args:
        pair: what is admitted on one account from a network that its user is not known to come from.
    """

    database: Database[AuthStores]
    fingerprints: Fingerprints
    pair: Growing
    clock: Clock
    audit: Audit

    def __call__(self, user_id: UUID, network: str, deadline: Deadline) -> CodeAttempt:
        """Count a code, and return what it was counted under.

        Raises Throttled, DeadlineTooShort, StorageUnavailable, Conflict.
        """
        now, owner = self.clock(), codes_of(user_id, self.fingerprints)
        known = pair_of(account_of(user_id, self.fingerprints), network, self.fingerprints)
        is_known = self.database.read(lambda tx: tx.attempts.is_known_network(known, now), deadline)
        code = CodeAttempt(
            self.fingerprints.of("user_codes", str(user_id)),
            self.fingerprints.of("user_network_codes", f"{user_id}\0{network}"),
        )
        if is_known:
            buckets = [Bucket(code.pair, FROM_A_KNOWN_NETWORK, owner)]
        else:
            buckets = [Bucket(code.account, IN_A_ROW, owner), Bucket(code.pair, self.pair, owner)]
        try:
            self.database.transact(lambda tx: admit(tx, buckets, now), deadline, settle=last_counts)
        except Throttled:
            self.audit.record(events.CodeThrottled(user_id=user_id))
            raise
        return code
