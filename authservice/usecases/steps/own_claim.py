"""Whether the address of a user is theirs."""

from authservice.domain.mail import EmailClaim
from authservice.domain.user import User
from authservice.ports import AuthStores


def own_claim(tx: AuthStores, user: User) -> EmailClaim | None:
    """Return the claim of a user on their address. None without an address, or where another account has it."""
    claim = tx.email_claims.holder(user.email) if user.email else None
    return claim if claim and claim.user_id == user.id else None


def has_confirmed(tx: AuthStores, user: User) -> bool:
    """Tell whether a user has shown that their address is theirs."""
    claim = own_claim(tx, user)
    return claim is not None and claim.confirmed_at is not None
