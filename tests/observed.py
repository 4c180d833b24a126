"""What callers of the tests send and see: short ways to call, and a watch on what must never be answered."""

from collections.abc import Callable
from typing import Any, cast

import grpc
from authapi.v1 import auth_service_pb2 as api
from authapi.v1 import auth_service_pb2_grpc as rpc
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from grpc_status import rpc_status

PASSWORD = "quiet copper lantern 47 rivers"
OTHER_PASSWORD = "seven amber kettles hum at dawn"


class ObservedChannel(grpc.UnaryUnaryClientInterceptor):
    """Fails a test whose call is answered UNKNOWN, or whose details hold a traceback or SQL."""

    @classmethod
    def around(cls, channel: grpc.Channel) -> grpc.Channel:
        """Return the channel under observation."""
        return grpc.intercept_channel(channel, cls())

    def intercept_unary_unary(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        """Look at the outcome of one call."""
        call = continuation(details, request)
        assert call.code() is not grpc.StatusCode.UNKNOWN, call.details()
        text = call.details() or ""
        assert not any(word in text for word in ("Traceback", "SELECT", "INSERT", "Exception")), text
        return call


class Refused(AssertionError):
    """A call that was expected to be refused was answered."""


class Refusal:
    """A refused call, taken apart."""

    def __init__(self, error: grpc.RpcError) -> None:
        call = cast("grpc.Call", error)
        self.code: grpc.StatusCode = call.code()
        self.message: str = call.details() or ""
        status = rpc_status.from_call(call)
        self.details = list(status.details) if status else []

    @property
    def reason(self) -> str | None:
        """The reason of the ErrorInfo, if there is one."""
        info = self._find(ErrorInfo)
        return info.reason if info else None

    @property
    def violations(self) -> dict[str, str]:
        """Field and description of each violation."""
        request = self._find(BadRequest)
        return {item.field: item.description for item in request.field_violations} if request else {}

    @property
    def violation_reasons(self) -> dict[str, str]:
        """Field and reason of each violation that has one."""
        request = self._find(BadRequest)
        return {item.field: item.reason for item in request.field_violations if item.reason} if request else {}

    @property
    def retry_after(self) -> float | None:
        """Seconds after which to try again."""
        info = self._find(RetryInfo)
        return info.retry_delay.ToMilliseconds() / 1000 if info else None

    def _find(self, kind: type[Any]) -> Any:
        for detail in self.details:
            found = kind()
            if detail.Unpack(found):
                return found
        return None


def refusal(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Refusal:
    """Make a call that must be refused and return the refusal."""
    try:
        answer = call(*args, **kwargs)
    except grpc.RpcError as error:
        return Refusal(error)
    raise Refused(f"answered with {answer!r}")


def register(stub: rpc.AuthServiceStub, name: str, password: str = PASSWORD, **fields: str) -> api.RegisterResponse:
    """Register a user."""
    return stub.Register(api.RegisterRequest(user_name=name, password=password, **fields))


def login(stub: rpc.AuthServiceStub, name: str, password: str = PASSWORD, label: str = "") -> api.SessionTokens:
    """Log in and return the tokens."""
    request = api.LoginRequest(user_name_or_email=name, password=password, client_label=label)
    return stub.Login(request).tokens


def verify(stub: rpc.AuthServiceStub, access_token: str) -> api.Identity:
    """Ask whose token it is."""
    return stub.Verify(api.VerifyRequest(access_token=access_token)).identity


def refresh(stub: rpc.AuthServiceStub, refresh_token: str) -> api.SessionTokens:
    """Spend a refresh token."""
    return stub.Refresh(api.RefreshRequest(refresh_token=refresh_token)).tokens


def logout(stub: rpc.AuthServiceStub, access_token: str, **fields: Any) -> int:
    """Log out and return how many sessions ended."""
    metadata = (("authorization", f"Bearer {access_token}"),)
    return stub.Logout(api.LogoutRequest(**fields), metadata=metadata).ended_sessions
