"""Why a call is refused: one exception, one table from reasons to what the caller of a service sees."""

import functools
from typing import TypeAlias

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

DOMAIN = "authservice"
"""Domain of every reason, in ErrorInfo."""
RETRY_SECONDS = 1

_Metadata: TypeAlias = tuple[tuple[str, bytes], ...]

_NOT_ACCEPTED = "The token is not accepted. Refresh it or log in again."
_REASONS: dict[str, tuple[grpc.StatusCode, str]] = {
    "TOKEN_MISSING": (
        grpc.StatusCode.UNAUTHENTICATED,
        'Send one access token, as one entry "authorization: Bearer <token>".',
    ),
    "TOKEN_INVALID": (grpc.StatusCode.UNAUTHENTICATED, _NOT_ACCEPTED),
    "TOKEN_EXPIRED": (grpc.StatusCode.UNAUTHENTICATED, _NOT_ACCEPTED),
    "TOKEN_NOT_YET_VALID": (grpc.StatusCode.UNAUTHENTICATED, _NOT_ACCEPTED),
    "TOKEN_OUTDATED": (grpc.StatusCode.UNAUTHENTICATED, _NOT_ACCEPTED),
    "SESSION_ENDED": (grpc.StatusCode.UNAUTHENTICATED, _NOT_ACCEPTED),
    "METHOD_WITHOUT_RULE": (
        grpc.StatusCode.PERMISSION_DENIED,
        "This method is refused to everybody, because its server has no rule for it. The log there says why.",
    ),
    "ROLE_MISSING": (grpc.StatusCode.PERMISSION_DENIED, "This needs a role that you do not have."),
    "MFA_REQUIRED": (
        grpc.StatusCode.PERMISSION_DENIED,
        "This needs a second factor. Call StepUp with a code or a passkey, or set one up first.",
    ),
    "AUTHENTICATION_TOO_OLD": (
        grpc.StatusCode.PERMISSION_DENIED,
        "This needs a more recent proof of who you are. Call StepUp, or log in again.",
    ),
    "VERIFICATION_UNAVAILABLE": (
        grpc.StatusCode.UNAVAILABLE,
        "The token cannot be checked right now. Try again.",
    ),
    "STREAM_UNKNOWN": (grpc.StatusCode.NOT_FOUND, "There is no such stream of yours here."),
}


class Refused(Exception):
    """A call is not let through. `reason` is the name of an authapi.v1.ErrorReason, without its prefix.

    The text is for logs and for people who debug; callers get that of the reason, or of the one in `words`.
    """

    def __init__(self, reason: str, why: str = "", *, words: str = "") -> None:
        super().__init__(why or reason)
        self.reason = reason
        self._words = words or reason

    def forget_frames(self) -> None:
        """Forget the frames that the refusal and its causes came through, once they are of no more use.

        They hold the call, and the variable that the refusal is in: a ring, which stays until the garbage collector
        comes, with all that grpc keeps of the call and its connection.
        """
        error: BaseException | None = self
        while error:
            error.__traceback__ = None
            error = error.__context__

    @property
    def code(self) -> grpc.StatusCode:
        """The status of the call."""
        return _REASONS[self.reason][0]

    @property
    def details(self) -> str:
        """What the caller is told."""
        return _REASONS[self._words][1]

    @property
    def trailing_metadata(self) -> _Metadata:
        """The entry that carries the reason to the caller (google.rpc.Status in `grpc-status-details-bin`)."""
        return _trailer(self.reason, self._words)


CLOSED = (ValueError, grpc.aio.UsageError)
"""What grpc raises where a call is sent over a channel that was closed on this side."""


def is_lost(call: object) -> bool:
    """Tell whether a call met the end of its connection, of its server or of its own channel.

    grpc's server answers CANCELLED to what arrives in the instant in which it stops. Of a channel that is closed on
    this side grpc says the same, so whoever sends such a call again has to reckon with `CLOSED`.
    """
    code = call.code()  # type: ignore[attr-defined]  # in every flavour of grpc
    return code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)


def is_about_token(reason: str) -> bool:
    """Tell whether a reason is one of those for which a token is not accepted."""
    return reason in _REASONS and _REASONS[reason][0] is grpc.StatusCode.UNAUTHENTICATED


@functools.cache
def _trailer(reason: str, words: str) -> _Metadata:
    code, message = _REASONS[reason][0], _REASONS[words][1]
    status = Status(code=code.value[0], message=message, details=[_packed(ErrorInfo(reason=reason, domain=DOMAIN))])
    if code is grpc.StatusCode.UNAVAILABLE:
        status.details.append(_packed(RetryInfo(retry_delay=Duration(seconds=RETRY_SECONDS))))
    return (("grpc-status-details-bin", status.SerializeToString(deterministic=True)),)


def _packed(detail: ErrorInfo | RetryInfo) -> Any:
    packed = Any()
    packed.Pack(detail)
    return packed
