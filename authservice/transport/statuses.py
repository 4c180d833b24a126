"""The one table from the conditions of the domain to what a caller sees, and the one place that aborts a call."""

import grpc
from authapi.v1.error_reason_pb2 import ErrorReason
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from authservice.domain import errors

DOMAIN = "authservice"

STATUSES: dict[type[errors.AuthError], tuple[grpc.StatusCode, ErrorReason.ValueType]] = {
    errors.InvalidInput: (grpc.StatusCode.INVALID_ARGUMENT, ErrorReason.ERROR_REASON_INVALID_INPUT),
    errors.UserNameTaken: (grpc.StatusCode.ALREADY_EXISTS, ErrorReason.ERROR_REASON_USER_NAME_TAKEN),
    errors.CredentialsInvalid: (grpc.StatusCode.UNAUTHENTICATED, ErrorReason.ERROR_REASON_CREDENTIALS_INVALID),
    errors.OneTimeTokenInvalid: (grpc.StatusCode.UNAUTHENTICATED, ErrorReason.ERROR_REASON_ONE_TIME_TOKEN_INVALID),
    errors.EmailNotConfirmed: (grpc.StatusCode.FAILED_PRECONDITION, ErrorReason.ERROR_REASON_EMAIL_NOT_CONFIRMED),
    errors.RegistrationClosed: (grpc.StatusCode.PERMISSION_DENIED, ErrorReason.ERROR_REASON_REGISTRATION_CLOSED),
    errors.TokenMissing: (grpc.StatusCode.UNAUTHENTICATED, ErrorReason.ERROR_REASON_TOKEN_MISSING),
    errors.TokenInvalid: (grpc.StatusCode.UNAUTHENTICATED, ErrorReason.ERROR_REASON_TOKEN_INVALID),
    errors.TokenExpired: (grpc.StatusCode.UNAUTHENTICATED, ErrorReason.ERROR_REASON_TOKEN_EXPIRED),
    errors.TokenNotYetValid: (grpc.StatusCode.UNAUTHENTICATED, ErrorReason.ERROR_REASON_TOKEN_NOT_YET_VALID),
    errors.SessionEnded: (grpc.StatusCode.UNAUTHENTICATED, ErrorReason.ERROR_REASON_SESSION_ENDED),
    errors.TokenOutdated: (grpc.StatusCode.UNAUTHENTICATED, ErrorReason.ERROR_REASON_TOKEN_OUTDATED),
    errors.RefreshTokenReused: (grpc.StatusCode.UNAUTHENTICATED, ErrorReason.ERROR_REASON_REFRESH_TOKEN_REUSED),
    errors.NotPermitted: (grpc.StatusCode.PERMISSION_DENIED, ErrorReason.ERROR_REASON_NOT_PERMITTED),
    errors.MethodWithoutRule: (grpc.StatusCode.PERMISSION_DENIED, ErrorReason.ERROR_REASON_METHOD_WITHOUT_RULE),
    errors.ResumePointUnknown: (grpc.StatusCode.OUT_OF_RANGE, ErrorReason.ERROR_REASON_RESUME_POINT_UNKNOWN),
    errors.ShuttingDown: (grpc.StatusCode.UNAVAILABLE, ErrorReason.ERROR_REASON_SHUTTING_DOWN),
    errors.Overloaded: (grpc.StatusCode.RESOURCE_EXHAUSTED, ErrorReason.ERROR_REASON_OVERLOADED),
    errors.Throttled: (grpc.StatusCode.RESOURCE_EXHAUSTED, ErrorReason.ERROR_REASON_THROTTLED),
    errors.StorageUnavailable: (grpc.StatusCode.UNAVAILABLE, ErrorReason.ERROR_REASON_STORAGE_UNAVAILABLE),
    errors.PasswordChangeRequired: (
        grpc.StatusCode.FAILED_PRECONDITION,
        ErrorReason.ERROR_REASON_PASSWORD_CHANGE_REQUIRED,
    ),
    errors.PasswordCheckUnavailable: (
        grpc.StatusCode.UNAVAILABLE,
        ErrorReason.ERROR_REASON_PASSWORD_CHECK_UNAVAILABLE,
    ),
    errors.Conflict: (grpc.StatusCode.ABORTED, ErrorReason.ERROR_REASON_CONFLICT),
    errors.DeadlineTooShort: (grpc.StatusCode.DEADLINE_EXCEEDED, ErrorReason.ERROR_REASON_DEADLINE_TOO_SHORT),
    errors.RequestMissing: (grpc.StatusCode.DEADLINE_EXCEEDED, ErrorReason.ERROR_REASON_REQUEST_MISSING),
    errors.CodeInvalid: (grpc.StatusCode.UNAUTHENTICATED, ErrorReason.ERROR_REASON_CODE_INVALID),
    errors.ChallengeOver: (grpc.StatusCode.UNAUTHENTICATED, ErrorReason.ERROR_REASON_CHALLENGE_OVER),
    errors.MfaRequired: (grpc.StatusCode.PERMISSION_DENIED, ErrorReason.ERROR_REASON_MFA_REQUIRED),
    errors.SecondFactorExists: (grpc.StatusCode.FAILED_PRECONDITION, ErrorReason.ERROR_REASON_SECOND_FACTOR_EXISTS),
    errors.SecondFactorMissing: (grpc.StatusCode.FAILED_PRECONDITION, ErrorReason.ERROR_REASON_SECOND_FACTOR_MISSING),
    errors.PasskeyInvalid: (grpc.StatusCode.UNAUTHENTICATED, ErrorReason.ERROR_REASON_PASSKEY_INVALID),
    errors.PasskeysOff: (grpc.StatusCode.FAILED_PRECONDITION, ErrorReason.ERROR_REASON_PASSKEYS_OFF),
    errors.PasskeyExists: (grpc.StatusCode.ALREADY_EXISTS, ErrorReason.ERROR_REASON_PASSKEY_EXISTS),
    errors.TooManyPasskeys: (grpc.StatusCode.FAILED_PRECONDITION, ErrorReason.ERROR_REASON_PASSKEY_LIMIT),
    errors.TokenTooLarge: (grpc.StatusCode.FAILED_PRECONDITION, ErrorReason.ERROR_REASON_TOKEN_TOO_LARGE),
}


def status_of(error: errors.AuthError) -> Status:
    """Return the status that tells a caller about a condition."""
    code, reason = STATUSES[type(error)]
    details: list[Message] = [_error_info(reason)]
    if isinstance(error, errors.InvalidInput):
        details.append(
            BadRequest(
                field_violations=[
                    BadRequest.FieldViolation(
                        field=violation.field, description=violation.description, reason=violation.reason
                    )
                    for violation in error.violations
                ]
            )
        )
    if isinstance(error, errors.Unavailable):
        delay = Duration()
        delay.FromMilliseconds(round(error.retry_after * 1000))
        details.append(RetryInfo(retry_delay=delay))
    return _status(code, str(error), details)


def final_status(error: errors.AuthError) -> grpc.Status:
    """Return the same as grpc takes it."""
    frequent = _REJECTIONS.get(type(error))
    if frequent and frequent.details == str(error):
        return frequent
    return rpc_status.to_status(status_of(error))


def internal_status(request_id: str) -> Status:
    """Return the status for anything unforeseen. The cause is in the log under the request id, and only there."""
    info = _error_info(ErrorReason.ERROR_REASON_INTERNAL)
    info.metadata["request_id"] = request_id
    return _status(grpc.StatusCode.INTERNAL, f"Something went wrong here. Report the request id {request_id}.", [info])


def abort(context: grpc.ServicerContext, status: Status) -> None:
    """End a call with a status. Never returns: grpc raises a bare Exception to unwind the call."""
    context.abort_with_status(rpc_status.to_status(status))


def set_status(context: grpc.ServicerContext, status: Status) -> None:
    """Say how a stream ends that is ended from outside of its handler."""
    final = rpc_status.to_status(status)
    context.set_code(final.code)
    context.set_details(final.details)
    context.set_trailing_metadata(final.trailing_metadata)


def _error_info(reason: ErrorReason.ValueType) -> ErrorInfo:
    return ErrorInfo(reason=ErrorReason.Name(reason).removeprefix("ERROR_REASON_"), domain=DOMAIN)


def _status(code: grpc.StatusCode, message: str, details: list[Message]) -> Status:
    status = Status(code=code.value[0], message=message)
    for detail in details:
        packed = Any()
        packed.Pack(detail)
        status.details.append(packed)
    return status


_REJECTIONS: dict[type[errors.AuthError], grpc.Status] = {
    kind: rpc_status.to_status(status_of(kind())) for kind in STATUSES if issubclass(kind, errors.TokenRejected)
}
