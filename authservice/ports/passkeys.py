"""What stories about passkeys need."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from authservice.domain.passkey import NewPasskey, Passkey, Signed
from authservice.domain.user import User


class Passkeys(Protocol):
    """The passkeys of users."""

    def add(self, passkey: Passkey) -> bool:
        """Keep a passkey. Tells whether it is kept now: not where another one has its credential id.

        The same one that is there already is kept.
        """

    def of_user(self, user_id: UUID) -> list[Passkey]:
        """Return a user's passkeys, the oldest first."""

    def by_credential(self, credential_id: bytes) -> Passkey | None:
        """Return the passkey that a device knows by this."""

    def used(self, passkey_id: UUID, sign_count: int, *, is_backed_up: bool, now: datetime) -> None:
        """Keep what a device said with a signature, and when. A count only grows."""

    def rename(self, user_id: UUID, passkey_id: UUID, name: str) -> bool:
        """Give a user's passkey a name. Tells whether there is one with this id."""

    def remove(self, user_id: UUID, passkey_id: UUID) -> bool:
        """Delete a user's passkey. Tells whether there was one with this id."""

    def remove_all(self, user_id: UUID) -> int:
        """Delete a user's passkeys. Returns how many there were."""


class PasskeyCeremonies(Protocol):
    """What browsers are asked, and what their answers are worth (WebAuthn level 3). Texts are JSON.

    `token` is a text that nobody else knows and that is given out once: what has to be signed is made from it.
    """

    def creation_options(self, token: str, user: User, known: Sequence[Passkey]) -> str:
        """Return what `navigator.credentials.create` is given, for a device that has none of the known ones."""

    def created(self, token: str, answer: str) -> NewPasskey:
        """Return what a device has made. Raises PasskeyInvalid."""

    def request_options(self, token: str, allowed: Sequence[Passkey] = ()) -> str:
        """Return what `navigator.credentials.get` is given: for some passkeys, or for whichever the user chooses.

        One that the user chooses has to verify them.
        """

    def credential_id(self, answer: str) -> bytes:
        """Return by what a device knows the key that it has signed with. Raises PasskeyInvalid."""

    def signed(self, token: str, answer: str, passkey: Passkey, *, must_verify: bool) -> Signed:
        """Return a signature of this passkey under what the token stands for. Raises PasskeyInvalid."""


class CeremonyTokens(Protocol):
    """Tokens that say what a browser was asked, so that nothing has to be kept of it until it answers."""

    def new(self, purpose: str, subject: str, ceremony_id: UUID, expires_at: datetime) -> str:
        """Return a token. `subject` says whom it is for; the token does not hold it."""

    def read(self, text: str, purpose: str, subject: str, now: datetime) -> tuple[UUID, datetime]:
        """Return id and end of a ceremony. Raises ChallengeOver unless the token is ours, for this, and not over."""
