"""Having a passkey prove its owner."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from authservice.domain import events
from authservice.domain.errors import PasskeyInvalid, PasskeysOff
from authservice.domain.passkey import Passkey
from authservice.ports import Audit, AuthStores, PasskeyCeremonies


@dataclass(frozen=True, slots=True)
class Used:
    """A passkey that has proved its owner. `is_behind` if its count has not grown: see Passkey.is_behind."""

    passkey: Passkey
    is_behind: bool


@dataclass(frozen=True, slots=True)
class UsePasskey:
    """Judges signatures inside the transaction that they are for.

    Args:
        ceremonies: None where the service was not told where its users have passkeys.
    """

    ceremonies: PasskeyCeremonies | None
    audit: Audit

    def require_ceremonies(self) -> PasskeyCeremonies:
        """Return what browsers are asked. Raises PasskeysOff."""
        if self.ceremonies is None:
            raise PasskeysOff
        return self.ceremonies

    def __call__(
        self, tx: AuthStores, user_id: UUID, token: str, answer: str, now: datetime, *, must_verify: bool = False
    ) -> Used:
        """Take the answer of a browser, with a passkey of this user.

        Raises PasskeyInvalid, PasskeysOff.

        Args:
            token: with which the browser was asked.
            must_verify: whether the device has to have asked its owner for a PIN, a finger or a face.
        """
        ceremonies = self.require_ceremonies()
        passkey = tx.passkeys.by_credential(ceremonies.credential_id(answer))
        if passkey is None or passkey.user_id != user_id:
            raise PasskeyInvalid
        signed = ceremonies.signed(token, answer, passkey, must_verify=must_verify)
        tx.passkeys.used(passkey.id, signed.sign_count, is_backed_up=signed.is_backed_up, now=now)
        return Used(passkey, passkey.is_behind(signed.sign_count))

    def record(self, used: Used) -> None:
        """Record the use, once the transaction has ended well."""
        told = {"user_id": used.passkey.user_id, "passkey_id": used.passkey.id}
        self.audit.record(events.PasskeyUsed(**told))
        if used.is_behind:
            self.audit.record(events.PasskeyBehind(**told))

    def refused(self, user_id: UUID | None) -> None:
        """Record that an answer did not fit."""
        self.audit.record(events.PasskeyRefused(user_id=user_id))
