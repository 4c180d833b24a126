"""Setting up an authenticator app: a secret is shown, and counts once the app's first code has come back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from authservice.domain.errors import CodeInvalid, SecondFactorExists, SecondFactorMissing
from authservice.domain.second_factor import TotpEnrollment, TotpFactor
from authservice.domain.user import User
from authservice.ports import AuthStores, RecoveryCodes, TotpCodes


@dataclass(frozen=True, slots=True)
class EnrollTotp:
    """Sets apps up, for those who are logged in and for those who have to before they are."""

    totp_codes: TotpCodes
    recovery_codes: RecoveryCodes

    def new_factor(self, user: User, now: datetime) -> tuple[TotpFactor, TotpEnrollment]:
        """Return a factor that nothing is kept of yet, and what its app needs to know."""
        sealed = self.totp_codes.new_secret(user.id)
        return TotpFactor(user.id, sealed, now), self.totp_codes.enrollment(sealed, user.id, user.name.typed)

    def begin(self, tx: AuthStores, factor: TotpFactor) -> None:
        """Keep a factor that waits for its first code. Raises SecondFactorExists. The user has to be locked."""
        if not tx.totp_factors.begin(factor):
            raise SecondFactorExists

    def confirm(self, tx: AuthStores, user: User, code: str, recovery_codes: Sequence[str], now: datetime) -> bool:
        """Have logins ask for codes from now on, if this is the app's first. The user has to be locked.

        Tells whether the recovery codes are kept: not where a passkey has brought some already.

        Raises CodeInvalid, SecondFactorExists, SecondFactorMissing.
        """
        factor = tx.totp_factors.get(user.id)
        if factor and factor.is_confirmed:
            raise SecondFactorExists
        if factor is None or not factor.awaits_code(now):
            raise SecondFactorMissing
        step = self.totp_codes.step_of(code, factor.sealed, user.id, now)
        if step is None or not tx.totp_factors.confirm(user.id, step, now):
            raise CodeInvalid
        is_first = not tx.passkeys.of_user(user.id)
        if is_first:
            self.keep_codes(tx, user, recovery_codes, now)
        tx.users.begin_secret_generation(user.id)
        return is_first

    def keep_codes(self, tx: AuthStores, user: User, recovery_codes: Sequence[str], now: datetime) -> None:
        """Keep recovery codes in the place of all others."""
        tx.recovery_codes.replace(user.id, [self.recovery_codes.hash_of(code, user.id) for code in recovery_codes], now)
