"""Puts the area `account` together."""

from datetime import timedelta

from authservice.bootstrap.parts import Parts
from authservice.bootstrap.passwords import password_policy, passwords
from authservice.bootstrap.throttling import admit_attempt
from authservice.security.password_policy import PooledStrength
from authservice.storage.wiping import wipe
from authservice.usecases.account import AccountStories
from authservice.usecases.account.change_password import ChangePassword
from authservice.usecases.account.delete_account import CancelDeletion, DeleteAccount
from authservice.usecases.account.erase_accounts import EraseAccounts
from authservice.usecases.account.estimate_password import EstimatePassword
from authservice.usecases.account.export_account import ExportAccount
from authservice.usecases.account.get_account import GetAccount
from authservice.usecases.account.list_sessions import ListSessions
from authservice.usecases.account.revoke_other_sessions import RevokeOtherSessions
from authservice.usecases.account.revoke_session import RevokeSession
from authservice.usecases.account.update_account import UpdateAccount


def build(parts: Parts) -> AccountStories:
    """Return the area's stories."""
    database, fingerprints, clock, audit = parts.database, parts.fingerprints, parts.clock, parts.audit
    grace = timedelta(days=parts.settings.deletion_grace_days)
    policy = password_policy(parts.settings)
    return AccountStories(
        list_sessions=ListSessions(database, clock),
        revoke_session=RevokeSession(database, clock, audit),
        revoke_other_sessions=RevokeOtherSessions(database, clock, audit),
        change_password=ChangePassword(database, policy, passwords(parts), admit_attempt(parts), clock, audit),
        estimate_password=EstimatePassword(PooledStrength(policy, parts.hash_pool)),
        get_account=GetAccount(database),
        update_account=UpdateAccount(database, audit),
        export_account=ExportAccount(database, fingerprints, clock, audit),
        delete_account=DeleteAccount(database, grace, clock, audit),
        cancel_deletion=CancelDeletion(database, clock, audit),
        erase_accounts=EraseAccounts(database, fingerprints, lambda: wipe(parts.engine), clock, audit),
    )
