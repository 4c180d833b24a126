"""Using up a code that proves a user."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from authservice.domain.errors import CodeInvalid, SecondFactorMissing
from authservice.domain.second_factor import CODE_OF_APP, RECOVERY_CODE, SecondFactors
from authservice.ports import AuthStores, RecoveryCodes, TotpCodes
from authservice.usecases.steps.second_factors import second_factors_of


@dataclass(frozen=True, slots=True)
class UseCode:
    """Judges codes inside the transaction that they are for, so that one is used up if and only if that happens."""

    totp_codes: TotpCodes
    recovery_codes: RecoveryCodes

    def __call__(self, tx: AuthStores, user_id: UUID, code: str, now: datetime) -> tuple[str, ...]:
        """Use a code of the app or a recovery code. Returns what it proves, as RFC 8176 names.

        Raises CodeInvalid, SecondFactorMissing.
        """
        factors = second_factors_of(tx, user_id)
        if not factors.is_set_up:
            raise SecondFactorMissing
        step = self._step_of(factors, code, now)
        if step is not None and tx.totp_factors.use_step(user_id, step):
            return CODE_OF_APP
        if step is None and tx.recovery_codes.spend(user_id, self.recovery_codes.hash_of(code, user_id)):
            return RECOVERY_CODE
        raise CodeInvalid

    def _step_of(self, factors: SecondFactors, code: str, now: datetime) -> int | None:
        if factors.app is None or not factors.app.is_confirmed:
            return None
        return self.totp_codes.step_of(code, factors.app.sealed, factors.app.user_id, now)
