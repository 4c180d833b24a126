"""One-time tokens: issued into a mail, looked at without being spent, spent by the transaction of what they change."""

import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from authservice.domain.deadline import Deadline
from authservice.domain.errors import OneTimeTokenInvalid
from authservice.domain.mail import IssuedToken, OneTimeToken, Purpose
from authservice.domain.user import User
from authservice.ports import AuthStores, Clock, Database, Fingerprints, NewId, TokenMint


@dataclass(frozen=True, slots=True)
class IssueToken:
    """Makes tokens before a transaction and keeps them inside of it."""

    mint: TokenMint
    fingerprints: Fingerprints
    new_id: NewId
    lives: dict[Purpose, timedelta]

    def new(self, purpose: Purpose) -> OneTimeToken:
        """Return a token that is not good yet."""
        return self.mint.new(self.new_id(), purpose)

    def has_live(self, tx: AuthStores, purpose: Purpose, user: User, now: datetime) -> bool:
        """Tell whether a user has a token that is good for this."""
        held = tx.one_time_tokens.in_slot(slot_of(purpose, str(user.id), self.fingerprints))
        if held is None or held.spent_by is not None:
            return False
        return now < held.expires_at and held.secret_generation == user.secret_generation

    def __call__(
        self,
        tx: AuthStores,
        token: OneTimeToken,
        user: User | None,
        address: str,
        now: datetime,
        session_id: UUID | None = None,
    ) -> None:
        """Make it good, in the place of the one before that the same owner had for the same purpose.

        With a session, only until that is ended.
        """
        owner = str(user.id) if user else address
        tx.one_time_tokens.put(
            IssuedToken(
                slot=slot_of(token.purpose, owner, self.fingerprints),
                id=token.id,
                user_id=user.id if user else None,
                purpose=token.purpose,
                secret_hash=token.hash,
                secret_generation=user.secret_generation if user else 0,
                address=address,
                created_at=now,
                expires_at=now + self.lives[token.purpose],
                session_id=session_id,
            )
        )


@dataclass(frozen=True, slots=True)
class Presented:
    """A token that was good when it was looked at, its user, and the id of the call that presents it."""

    token: OneTimeToken
    issued: IssuedToken
    user: User
    call_id: UUID


@dataclass(frozen=True, slots=True)
class Invitation:
    """An invitation that was good when it was looked at, and the id of the call that presents it."""

    token: OneTimeToken
    address: str
    call_id: UUID


@dataclass(frozen=True, slots=True)
class RedeemToken:
    """Judges tokens that come back."""

    database: Database[AuthStores]
    mint: TokenMint
    new_id: NewId
    clock: Clock

    def look(self, text: str, deadline: Deadline, *purposes: Purpose) -> Presented:
        """Return a user's token, which stays as good as it is. Raises OneTimeTokenInvalid."""
        token = self.mint.read(text, *purposes)
        issued, user = self.database.read(lambda tx: _found(tx, token.id), deadline)
        if issued is None or user is None or not is_good(token, issued, self.clock()):
            raise OneTimeTokenInvalid
        presented = Presented(token, issued, user, self.new_id())
        _require_unchanged(presented, user)
        return presented

    def look_at_invitation(self, text: str, deadline: Deadline) -> Invitation:
        """Return an invitation, which stays as good as it is. Raises OneTimeTokenInvalid."""
        token = self.mint.read(text, Purpose.INVITE)
        issued = self.database.read(lambda tx: tx.one_time_tokens.get(token.id), deadline)
        if issued is None or not is_good(token, issued, self.clock()):
            raise OneTimeTokenInvalid
        return Invitation(token, issued.address, self.new_id())

    def spend(self, tx: AuthStores, presented: Presented, current: User | None, now: datetime) -> User:
        """Spend a token. Returns its user as they are now, who is locked. Raises OneTimeTokenInvalid."""
        if current is None or not tx.one_time_tokens.spend(presented.token, presented.call_id, now, current.id):
            raise OneTimeTokenInvalid
        _require_unchanged(presented, current)
        if presented.issued.session_id:
            found = tx.sessions.get(presented.issued.session_id)
            if found is None or found[0].ended_at:
                raise OneTimeTokenInvalid
        return current

    def has_spent(self, tx: AuthStores, presented: Presented | Invitation) -> bool:
        """Tell whether an earlier run of the same call has spent it, with all that belongs to that."""
        held = tx.one_time_tokens.get(presented.token.id)
        return held is not None and held.spent_by == presented.call_id


def slot_of(purpose: Purpose, owner: str, fingerprints: Fingerprints) -> bytes:
    """Return the 32 bytes that stand for a purpose and its owner: a user's id, or the address of an invitation."""
    return fingerprints.of(f"token {purpose.value}", owner)


def is_good(token: OneTimeToken, issued: IssuedToken, now: datetime) -> bool:
    """Tell whether this is what was issued, for the same purpose, not spent and not over."""
    is_same = hmac.compare_digest(token.hash, issued.secret_hash) and token.purpose is issued.purpose
    return is_same and issued.spent_by is None and now < issued.expires_at


def _found(tx: AuthStores, token_id: UUID) -> tuple[IssuedToken | None, User | None]:
    issued = tx.one_time_tokens.get(token_id)
    return issued, tx.users.get(issued.user_id) if issued and issued.user_id else None


def _require_unchanged(presented: Presented, user: User) -> None:
    if not user.is_active or user.secret_generation != presented.issued.secret_generation:
        raise OneTimeTokenInvalid
