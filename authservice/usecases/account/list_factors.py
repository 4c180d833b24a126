"""ListFactors: what logins ask the caller for beside the password."""

from dataclasses import dataclass

from authservice.domain.caller import Caller
from authservice.domain.deadline import Deadline
from authservice.domain.second_factor import Factors
from authservice.ports import AuthStores, Database


@dataclass(frozen=True, slots=True)
class ListFactors:
    """Reads the second factors of one user, without their secrets."""

    database: Database[AuthStores]

    def __call__(self, caller: Caller, deadline: Deadline) -> Factors:
        """Return those that are confirmed. Raises StorageUnavailable, DeadlineTooShort."""
        return self.database.read(lambda tx: self._read(tx, caller), deadline)

    def _read(self, tx: AuthStores, caller: Caller) -> Factors:
        factor = tx.totp_factors.get(caller.user_id)
        return Factors(factor.confirmed_at if factor else None, tx.recovery_codes.count(caller.user_id))
