"""The interceptor that other services install, guarding this one: by the same rules, with the database as authority."""

from collections.abc import Mapping
from typing import TypeVar

from authapi.v1.error_reason_pb2 import ErrorReason
from authclient import AuthInterceptor, Observer, Policy, Refused
from authclient._judging.judge import Judge
from authclient._judging.knowledge import Knowledge
from authclient._judging.verified import Ask, Verified
from google.protobuf.descriptor import FileDescriptor

from authservice.domain.deadline import Deadline
from authservice.domain.errors import AuthError, StorageUnavailable, TokenRejected
from authservice.transport.boundary import OnUnavailable, nobody_hears
from authservice.transport.messages.auth import identity
from authservice.transport.statuses import STATUSES
from authservice.usecases.auth.verify import Verify


class OwnAuthority:
    """Asks Verify about every token. See authclient._judging.authority."""

    following = None

    def __init__(
        self, verify: Verify, issuer: str, audience: str, on_unavailable: OnUnavailable = nobody_hears
    ) -> None:
        self._verify = verify
        self._on_unavailable = on_unavailable
        self.judge = Judge(Knowledge(clock=self._now), issuer, audience)
        self.observer = Observer()

    def ask(self, question: Ask, timeout: float) -> Verified:
        """Return whose token it is. Raises Refused."""
        try:
            return question.settle(identity(self._verify(question.token, Deadline.after(timeout))))
        except TokenRejected as rejected:
            reason = STATUSES[type(rejected)][1]
            raise Refused(ErrorReason.Name(reason).removeprefix("ERROR_REASON_")) from None
        except AuthError as error:
            if isinstance(error, StorageUnavailable):
                self._on_unavailable(error)
            raise Refused("VERIFICATION_UNAVAILABLE", str(error)) from None

    def _now(self) -> float:
        """Return the time that sessions go by, for rules that ask how long ago a user was proved. Raises Refused."""
        try:
            return self._verify.clock().timestamp()
        except StorageUnavailable as error:
            self._on_unavailable(error)
            raise Refused("VERIFICATION_UNAVAILABLE", str(error)) from None


T = TypeVar("T")


def open_to_anyone(methods: Mapping[str, T], *files: FileDescriptor) -> dict[str, T]:
    """Return those of the methods that anyone may call, by their rules. The others need the guard before them."""
    rules = Policy(*files).rules
    return {method: value for method, value in methods.items() if method in rules and rules[method].is_public}


def own_guard(
    verify: Verify,
    issuer: str,
    audience: str,
    *files: FileDescriptor,
    on_unavailable: OnUnavailable = nobody_hears,
) -> AuthInterceptor:
    """Return the interceptor for the services in these files, by the rules there."""
    return AuthInterceptor(OwnAuthority(verify, issuer, audience, on_unavailable), *files)
