"""The calls of AccountService about sessions, passwords and the account itself."""

from datetime import timedelta

import grpc

from authservice.domain import events
from authservice.domain.deadline import Deadline
from authservice.ports import last_counts
from tests.faults.operations.area import Area, Operation
from tests.observed import OTHER_PASSWORD, PASSWORD, Refusal

EVENTS = {
    "RevokeSession": events.SessionRevoked.name,
    "RevokeOtherSessions": events.OtherSessionsRevoked.name,
    "ChangePassword": events.PasswordChanged.name,
    "UpdateAccount": events.AccountUpdated.name,
    "DeleteAccount": events.AccountDeletionRequested.name,
    "CancelDeletion": events.AccountDeletionCancelled.name,
}


class AccountOperations(Area):
    """Ends sessions, changes passwords, and has accounts erased."""

    def _revoke_session(self) -> Operation:
        _, account, sessions = self._account()
        lost = sessions[1].session_id
        return Operation(
            lambda: account.call("RevokeSession", session_id=str(lost)), lambda: int(not self.is_live(lost))
        )

    def _revoke_other_sessions(self) -> Operation:
        _, account, sessions = self._account()
        return Operation(
            lambda: account.call("RevokeOtherSessions"), lambda: int(not self.is_live(sessions[1].session_id))
        )

    def _change_password(self) -> Operation:
        user, account, sessions = self._account()

        def change() -> object:
            try:
                return account.call("ChangePassword", old_password=PASSWORD, new_password=OTHER_PASSWORD)
            except grpc.RpcError as error:
                # By whom the first answer was lost, the password is another one.
                if Refusal(error).reason == "CREDENTIALS_INVALID" and self._user(user).secret_generation:
                    return None
                raise

        def effects() -> int:
            changed = self._user(user).secret_generation
            assert bool(changed) is not self.is_live(sessions[1].session_id), "half of it"
            return changed

        return Operation(change, effects)

    def _update_account(self) -> Operation:
        user, account, _ = self._account()
        return Operation(
            lambda: account.call("UpdateAccount", display_name="Ada"),
            lambda: int(self._user(user).display_name == "Ada"),
        )

    def _delete_account(self) -> Operation:
        user, account, sessions = self._account()

        def effects() -> int:
            is_over = [not self.is_live(each.session_id) for each in sessions]
            assert len({*is_over, self._user(user).erase_at is not None}) == 1, "half of it"
            return int(all(is_over))

        return Operation(lambda: account.call("DeleteAccount"), effects)

    def _cancel_deletion(self) -> Operation:
        user, account, _ = self._account()
        later = self.service.parts.clock() + timedelta(days=1)
        self.service.parts.database.transact(
            lambda tx: tx.users.set_erase_at(user.id, later), Deadline.after(10), settle=last_counts
        )
        return Operation(lambda: account.call("CancelDeletion"), lambda: int(self._user(user).erase_at is None))
