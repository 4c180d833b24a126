"""What stories about the second factor need."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from authservice.domain.second_factor import TotpEnrollment


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
