"""BeginPasskeyLogin: ask a browser for a passkey of its user's choice."""

from dataclasses import dataclass

from authservice.domain.deadline import Deadline
from authservice.domain.passkey import Ceremony
from authservice.usecases.steps.begin_ceremony import BY_PASSKEY, BeginCeremony
from authservice.usecases.steps.use_passkey import UsePasskey


@dataclass(frozen=True, slots=True)
class BeginPasskeyLogin:
    """Asks for no name, so that no answer can tell who has an account, and nothing is looked up."""

    begin: BeginCeremony
    use_passkey: UsePasskey

    def __call__(self, _: Deadline) -> Ceremony:
        """Return what the browser is given. Raises PasskeysOff, StorageUnavailable."""
        return self.begin(BY_PASSKEY, "", self.use_passkey.require_ceremonies().request_options)
