"""RenamePasskey: give one of the caller's passkeys another name."""

from dataclasses import dataclass

from authservice.domain import events
from authservice.domain.caller import Caller
from authservice.domain.deadline import Deadline
from authservice.domain.errors import NotPermitted
from authservice.domain.fields import Fields, uuid_of
from authservice.ports import Audit, AuthStores, Database, last_counts
from authservice.usecases.account.finish_passkey_registration import passkey_name

NO_SUCH_PASSKEY = "There is no such passkey of yours."


@dataclass(frozen=True, slots=True)
class RenamePasskey:
    """Renames. Nobody learns whether somebody else has a passkey of an id."""

    database: Database[AuthStores]
    audit: Audit

    def __call__(self, passkey_id: str, name: str, caller: Caller, deadline: Deadline) -> None:
        """Rename. Raises InvalidInput, NotPermitted, DeadlineTooShort, StorageUnavailable, Conflict."""
        fields = Fields()
        wanted = fields.read("passkey_id", uuid_of, passkey_id)
        fields.read("name", passkey_name, name)
        fields.require_valid()
        assert wanted
        if not self.database.transact(
            lambda tx: tx.passkeys.rename(caller.user_id, wanted, name), deadline, settle=last_counts
        ):
            raise NotPermitted(NO_SUCH_PASSKEY)
        self.audit.record(events.PasskeyRenamed(user_id=caller.user_id, passkey_id=wanted))
