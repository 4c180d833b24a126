"""ListFactors: what logins ask the caller for beside the password."""

from dataclasses import dataclass

from authservice.domain.caller import Caller
from authservice.domain.deadline import Deadline
from authservice.domain.second_factor import SecondFactors
from authservice.ports import AuthStores, Database
from authservice.usecases.steps.second_factors import second_factors_of


@dataclass(frozen=True, slots=True)
class ListFactors:
    """Reads the second factors of one user, without their secrets."""

    database: Database[AuthStores]

    def __call__(self, caller: Caller, deadline: Deadline) -> tuple[SecondFactors, int]:
        """Return them, and how many recovery codes are left. Raises StorageUnavailable, DeadlineTooShort."""
        return self.database.read(lambda tx: self._read(tx, caller), deadline)

    def _read(self, tx: AuthStores, caller: Caller) -> tuple[SecondFactors, int]:
        return second_factors_of(tx, caller.user_id), tx.recovery_codes.count(caller.user_id)
