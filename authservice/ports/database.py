"""Transactions, and the stores inside one."""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol, TypeVar

from authservice.domain.deadline import Deadline
from authservice.domain.errors import AuthError
from authservice.ports.auth import Attempts, Imports, PersonalData, Sessions, Users
from authservice.ports.mail import EmailClaims, MailQuotas, OneTimeTokens, Outbox
from authservice.ports.passkeys import Passkeys
from authservice.ports.second_factor import Challenges, KeptRecoveryCodes, TotpFactors
from authservice.ports.trust import SealedSecrets, SigningKeys

T = TypeVar("T")


def last_counts(_earlier: T, last: T) -> T:
    """Settle where the work answers the same however often it has run, or where nobody reads the answer."""
    return last


def first_change_counts(earlier: T, last: T) -> T:
    """Settle where the work answers what it has changed: what an earlier run did, the last one finds done."""
    return earlier or last


def success_counts(earlier: T, last: T) -> T:
    """Settle where the work answers a refusal, and raises none: what an earlier run did is refused to the last."""
    return last if isinstance(earlier, AuthError) else earlier


class Expired(Protocol):
    """Rows whose time is over."""

    def purge(self, now: datetime, limit: int) -> int:
        """Delete up to `limit` rows of each kind whose time was over at `now`. Returns how many were deleted."""


class AuthStores(Protocol):
    """What stories about accounts and sessions use."""

    @property
    def users(self) -> Users: ...
    @property
    def sessions(self) -> Sessions: ...
    @property
    def attempts(self) -> Attempts: ...
    @property
    def personal_data(self) -> PersonalData: ...
    @property
    def email_claims(self) -> EmailClaims: ...
    @property
    def one_time_tokens(self) -> OneTimeTokens: ...
    @property
    def outbox(self) -> Outbox: ...
    @property
    def mail_quotas(self) -> MailQuotas: ...
    @property
    def totp_factors(self) -> TotpFactors: ...
    @property
    def recovery_codes(self) -> KeptRecoveryCodes: ...
    @property
    def challenges(self) -> Challenges: ...
    @property
    def passkeys(self) -> Passkeys: ...


class ImportStores(Protocol):
    """What bringing accounts in uses."""

    @property
    def imports(self) -> Imports: ...


class TrustStores(Protocol):
    """What stories about keys use."""

    @property
    def signing_keys(self) -> SigningKeys: ...
    @property
    def sealed_secrets(self) -> SealedSecrets: ...
    @property
    def totp_factors(self) -> TotpFactors: ...


class UpkeepStores(Protocol):
    """What cleaning up uses."""

    @property
    def expired(self) -> Expired: ...


class Transaction(AuthStores, ImportStores, TrustStores, UpkeepStores, Protocol):
    """Every store inside one transaction."""


Stores_co = TypeVar("Stores_co", covariant=True)


class Database(Protocol[Stores_co]):
    """Runs transactions on the stores that a story asks for."""

    def read(self, work: Callable[[Stores_co], T], deadline: Deadline) -> T:
        """Run `work`, which changes nothing. Otherwise as `transact`."""

    def transact(self, work: Callable[[Stores_co], T], deadline: Deadline, *, settle: Callable[[T, T], T]) -> T:
        """Run `work` in a transaction and commit it, or roll back if it raises.

        `work` runs again from the start after a deadlock or a lost connection, also one lost during the commit. It must
        therefore bear repetition, choose ids and times outside, and do nothing but talk to the stores. Raises
        StorageUnavailable, Conflict.

        Args:
            settle: where a connection was lost during the commit, so that an earlier run may have happened: makes the
                true result of that run's and the last run's. Has no default, since forgetting it would show as a
                wrong answer once in a while, and never in an ordinary test.
        """
