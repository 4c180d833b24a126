"""What the server has to know about each RPC beside its contract: one row per RPC.

A method that is served without a row, and a row without a method, stop the start.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from authservice.transport.registration import Registration


class Threads(Enum):
    """Which threads run a method."""

    CALLS = "those of ordinary calls"
    TOGETHER = "one for all who wait; those of ordinary calls where the entrance is off"
    PASSWORDS = "those that wait for hashes, so that no other call waits behind them"
    NONE = "none while nothing is to be said: it streams"


@dataclass(frozen=True, slots=True)
class Method:
    """One row.

    Args:
        is_repeatable: whether a call whose answer was lost may be sent again and changes nothing more.
    """

    threads: Threads
    is_repeatable: bool


METHODS: Mapping[str, Method] = {
    # With its idempotency key. Without one the second call finds the name taken.
    "/authapi.v1.AuthService/Register": Method(Threads.PASSWORDS, is_repeatable=True),
    # A second login is a second session.
    "/authapi.v1.AuthService/Login": Method(Threads.PASSWORDS, is_repeatable=False),
    # A code is good once, and so is what is set up by one.
    "/authapi.v1.AuthService/CompleteLogin": Method(Threads.CALLS, is_repeatable=False),
    "/authapi.v1.AuthService/BeginPasskeyLogin": Method(Threads.CALLS, is_repeatable=True),
    "/authapi.v1.AuthService/LoginWithPasskey": Method(Threads.CALLS, is_repeatable=False),
    "/authapi.v1.AuthService/StepUp": Method(Threads.PASSWORDS, is_repeatable=False),
    "/authapi.v1.AuthService/Refresh": Method(Threads.TOGETHER, is_repeatable=True),
    "/authapi.v1.AuthService/Logout": Method(Threads.TOGETHER, is_repeatable=True),
    "/authapi.v1.AuthService/Verify": Method(Threads.TOGETHER, is_repeatable=True),
    "/authapi.v1.AccountService/ListSessions": Method(Threads.CALLS, is_repeatable=True),
    "/authapi.v1.AccountService/RevokeSession": Method(Threads.CALLS, is_repeatable=True),
    "/authapi.v1.AccountService/RevokeOtherSessions": Method(Threads.CALLS, is_repeatable=True),
    # The second call finds that its old password is none any more.
    "/authapi.v1.AccountService/ChangePassword": Method(Threads.PASSWORDS, is_repeatable=False),
    "/authapi.v1.AccountService/EstimatePassword": Method(Threads.PASSWORDS, is_repeatable=True),
    "/authapi.v1.AccountService/GetAccount": Method(Threads.CALLS, is_repeatable=True),
    "/authapi.v1.AccountService/UpdateAccount": Method(Threads.CALLS, is_repeatable=True),
    "/authapi.v1.AccountService/ExportAccount": Method(Threads.NONE, is_repeatable=True),
    # It ends the session that it is called from, so a second call is refused.
    "/authapi.v1.AccountService/DeleteAccount": Method(Threads.CALLS, is_repeatable=False),
    "/authapi.v1.AccountService/CancelDeletion": Method(Threads.CALLS, is_repeatable=True),
    # A second one asks for a second mail.
    "/authapi.v1.AccountService/RequestPasswordReset": Method(Threads.CALLS, is_repeatable=False),
    "/authapi.v1.AccountService/RequestEmailVerification": Method(Threads.CALLS, is_repeatable=False),
    "/authapi.v1.AccountService/ChangeEmail": Method(Threads.CALLS, is_repeatable=False),
    # The second one finds the token spent.
    "/authapi.v1.AccountService/ResetPassword": Method(Threads.PASSWORDS, is_repeatable=False),
    "/authapi.v1.AccountService/VerifyEmail": Method(Threads.CALLS, is_repeatable=False),
    "/authapi.v1.AccountService/EnrollTotp": Method(Threads.CALLS, is_repeatable=False),
    "/authapi.v1.AccountService/ConfirmTotp": Method(Threads.CALLS, is_repeatable=False),
    "/authapi.v1.AccountService/RemoveTotp": Method(Threads.CALLS, is_repeatable=False),
    "/authapi.v1.AccountService/RegenerateRecoveryCodes": Method(Threads.CALLS, is_repeatable=False),
    "/authapi.v1.AccountService/BeginPasskeyRegistration": Method(Threads.CALLS, is_repeatable=True),
    # The second one brings no recovery codes, which are shown once.
    "/authapi.v1.AccountService/FinishPasskeyRegistration": Method(Threads.CALLS, is_repeatable=False),
    "/authapi.v1.AccountService/RenamePasskey": Method(Threads.CALLS, is_repeatable=True),
    "/authapi.v1.AccountService/RemovePasskey": Method(Threads.CALLS, is_repeatable=False),
    "/authapi.v1.AccountService/ListFactors": Method(Threads.CALLS, is_repeatable=True),
    "/authapi.v1.TrustService/GetSigningKeys": Method(Threads.CALLS, is_repeatable=True),
    "/authapi.v1.TrustService/WatchRevocations": Method(Threads.NONE, is_repeatable=True),
}

PASSWORD_METHODS = frozenset(name for name, method in METHODS.items() if method.threads is Threads.PASSWORDS)


class MethodsUnfit(Exception):
    """The rows and the services that are to be served do not fit. The text names each method and what to do."""


def require_rows(registrations: Iterable[Registration], rows: Mapping[str, Method] = METHODS) -> None:
    """Raise MethodsUnfit unless each method of these services has a row that fits, and each row its method."""
    if problems := list(_problems(registrations, rows)):
        raise MethodsUnfit("; ".join(problems) + ". The rows are in authservice/transport/methods.py")


def _problems(registrations: Iterable[Registration], rows: Mapping[str, Method]) -> Iterator[str]:
    left = dict(rows)
    for registration in registrations:
        for name, method in registration.methods():
            row = left.pop(name, None)
            if row is None:
                yield f"{name} has no row: add one"
                continue
            if method.server_streaming != (row.threads is Threads.NONE):
                yield f"{name} streams, or its row says that it holds no thread; either both or none"
            handler = getattr(registration.servicer, method.name)
            if method.server_streaming != getattr(handler, "experimental_non_blocking", False):
                yield f"{name} must be marked `experimental_non_blocking` if it streams, and only then"
    for name in left:
        yield f"{name} has a row and is not served: remove the row, or register its service"
