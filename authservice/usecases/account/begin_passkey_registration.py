"""BeginPasskeyRegistration: ask the caller's browser for a new passkey."""

from dataclasses import dataclass

from authservice.domain.caller import Caller
from authservice.domain.deadline import Deadline
from authservice.domain.errors import SessionEnded, TooManyPasskeys
from authservice.domain.passkey import MOST_PASSKEYS, Ceremony
from authservice.ports import AuthStores, Database
from authservice.usecases.steps.begin_ceremony import REGISTRATION, BeginCeremony
from authservice.usecases.steps.use_passkey import UsePasskey


@dataclass(frozen=True, slots=True)
class BeginPasskeyRegistration:
    """Makes what a browser is given. Nothing is kept."""

    database: Database[AuthStores]
    begin: BeginCeremony
    use_passkey: UsePasskey

    def __call__(self, caller: Caller, deadline: Deadline) -> Ceremony:
        """Return it. Raises PasskeysOff, TooManyPasskeys, SessionEnded, DeadlineTooShort, StorageUnavailable."""
        ceremonies = self.use_passkey.require_ceremonies()
        user, known = self.database.read(
            lambda tx: (tx.users.get(caller.user_id), tx.passkeys.of_user(caller.user_id)), deadline
        )
        if user is None:
            raise SessionEnded
        if len(known) >= MOST_PASSKEYS:
            raise TooManyPasskeys
        # Bound to the session, so that what one device has begun no other session ends.
        subject = str(caller.session_id)
        return self.begin(REGISTRATION, subject, lambda token: ceremonies.creation_options(token, user, known))
