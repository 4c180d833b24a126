"""The calls that write, each with a way to ask the database what has become of it."""

from tests.faults.operations import account, auth, mail, passkeys, second_factor
from tests.faults.operations.area import Operation

__all__ = ["EVENTS", "NAMES", "READING", "Operation", "Operations"]

EVENTS = auth.EVENTS | second_factor.EVENTS | passkeys.EVENTS | account.EVENTS | mail.EVENTS
"""What is recorded of each call that writes, once and only if it has happened."""
NAMES = tuple(EVENTS)
READING = {
    "ListSessions",
    "ListFactors",
    "BeginPasskeyRegistration",
    "BeginPasskeyLogin",
    "EstimatePassword",
    "GetAccount",
    "ExportAccount",
    "Verify",
    "GetSigningKeys",
    "WatchRevocations",
}
"""The calls that change nothing."""


class Operations(
    auth.AuthOperations,
    second_factor.FactorOperations,
    passkeys.PasskeyOperations,
    account.AccountOperations,
    mail.MailOperations,
):
    """Makes fresh operations of all of them."""
