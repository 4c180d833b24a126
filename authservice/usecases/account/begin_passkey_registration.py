"""BeginPasskeyRegistration: ask the caller's browser for a new passkey."""

from dataclasses import dataclass

from authservice.domain.caller import Caller
from authservice.domain.deadline import Deadline
from authservice.domain.errors import TooManyPasskeys
from authservice.domain.passkey import MOST_PASSKEYS, Ceremony, Passkey
from authservice.domain.user import User
from authservice.ports import AuthStores, Database
from authservice.usecases.steps.begin_ceremony import REGISTRATION, BeginCeremony
from authservice.usecases.steps.hold_caller import require_strongest, see_caller
from authservice.usecases.steps.use_passkey import UsePasskey


@dataclass(frozen=True, slots=True)
class BeginPasskeyRegistration:
    """Makes what a browser is given. Nothing is kept."""

    database: Database[AuthStores]
    begin: BeginCeremony
    use_passkey: UsePasskey

    def __call__(self, caller: Caller, deadline: Deadline) -> Ceremony:
        """Return it. Raises PasskeysOff, TooManyPasskeys, MfaRequired, SessionEnded, StorageUnavailable."""
        ceremonies = self.use_passkey.require_ceremonies()
        user, known = self.database.read(lambda tx: _user(tx, caller), deadline)
        if len(known) >= MOST_PASSKEYS:
            raise TooManyPasskeys
        return self.begin(
            REGISTRATION, subject_of(caller, user), lambda token: ceremonies.creation_options(token, user, known)
        )


def subject_of(caller: Caller, user: User) -> str:
    """Return whom a registration is for: this session, and only while what proves its user is what it is now."""
    return f"{caller.session_id} {user.secret_generation}"


def _user(tx: AuthStores, caller: Caller) -> tuple[User, list[Passkey]]:
    user, session = see_caller(tx, caller)
    require_strongest(tx, user, session.auth_methods)
    return user, tx.passkeys.of_user(user.id)
