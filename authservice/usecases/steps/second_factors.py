"""The second factors of a user."""

from uuid import UUID

from authservice.domain.second_factor import SecondFactors
from authservice.ports import AuthStores


def second_factors_of(tx: AuthStores, user_id: UUID) -> SecondFactors:
    """Return what proves a user beside the password."""
    return SecondFactors(tx.totp_factors.get(user_id), tuple(tx.passkeys.of_user(user_id)))
