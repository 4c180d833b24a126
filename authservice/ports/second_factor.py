"""What stories about the second factor need."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from authservice.domain.challenge import Challenge
from authservice.domain.second_factor import TotpEnrollment, TotpFactor


class TotpFactors(Protocol):
    """The authenticator apps of users, one each."""

    def get(self, user_id: UUID) -> TotpFactor | None:
        """Return a user's factor, confirmed or not."""

    def begin(self, factor: TotpFactor) -> bool:
        """Keep an unconfirmed factor in the place of another unconfirmed one.

        Tells whether it is kept now: not where there is a confirmed one.
        """

    def confirm(self, user_id: UUID, step: int, now: datetime) -> bool:
        """Have logins ask for codes from now on. Tells whether there was an unconfirmed factor.

        The step of the code that confirms counts as used.
        """

    def use_step(self, user_id: UUID, step: int) -> bool:
        """Move the last accepted step of a confirmed factor forward. Of any number of calls with a step one does."""

    def remove(self, user_id: UUID) -> bool:
        """Delete a user's factor. Tells whether there was a confirmed one."""

    def page(self, after: UUID, limit: int) -> list[TotpFactor]:
        """Return up to `limit` factors in the order of their users, those after `after`."""

    def reseal(self, user_id: UUID, before: bytes, after: bytes) -> None:
        """Replace the sealed form of a secret, if it is still `before`."""


class KeptRecoveryCodes(Protocol):
    """The hashes of users' recovery codes."""

    def replace(self, user_id: UUID, hashes: Sequence[bytes], now: datetime) -> None:
        """Keep these in the place of all that a user has."""

    def spend(self, user_id: UUID, code_hash: bytes) -> bool:
        """Use a code up. Of any number of calls with one code, one does."""

    def count(self, user_id: UUID) -> int:
        """Return how many are left."""


class Challenges(Protocol):
    """Challenges that wait to be met."""

    def add(self, challenge: Challenge, now: datetime) -> None:
        """Keep a challenge. One with this id that is still open at `now` stays as it is."""

    def get(self, challenge_id: UUID, secret_hash: bytes, now: datetime) -> Challenge | None:
        """Return a challenge with this secret. None if its time is over, or it was met."""

    def count_try(self, challenge_id: UUID, secret_hash: bytes, now: datetime) -> Challenge | None:
        """Take one try from a challenge with this secret and return it as it is then.

        None if it has none left, its time is over, or it was met. Parallel calls all count.
        """

    def use_up(self, ceremony_id: UUID, user_id: UUID, until: datetime) -> bool:
        """Keep, until then, that a ceremony of which nothing was kept was answered. Of any number of calls one does."""

    def spend(self, challenge_id: UUID) -> bool:
        """Take a challenge away, which was met. Of any number of calls for one, one does."""


class TotpCodes(Protocol):
    """Codes of authenticator apps (RFC 6238), and the secrets behind them, which leave here sealed."""

    def new_secret(self, user_id: UUID) -> bytes:
        """Return a new secret, sealed for one user."""

    def enrollment(self, sealed: bytes, user_id: UUID, account: str) -> TotpEnrollment:
        """Return a secret as an app takes it. `account` is what the app calls the entry."""

    def step_of(self, code: str, sealed: bytes, user_id: UUID, now: datetime) -> int | None:
        """Return the step that a code belongs to, of those that count at `now`; None if it is no code of theirs.

        Whether the step was used before is for whoever keeps the last one.
        """


class RecoveryCodes(Protocol):
    """Codes for users whose app is lost."""

    def generate(self) -> Sequence[str]:
        """Return new ones, as people write them down."""

    def hash_of(self, code: str, user_id: UUID) -> bytes:
        """Return the 32 bytes that are kept of a code, however it is spelled."""


class ChallengeTokens(Protocol):
    """The tokens that answer challenges."""

    def new(self, challenge_id: UUID) -> tuple[str, bytes]:
        """Return a token, and the hash of its secret part."""

    def read(self, text: str) -> tuple[UUID, bytes]:
        """Return which challenge a token answers, and the hash of its secret part. Raises ChallengeOver."""
