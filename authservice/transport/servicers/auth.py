"""authapi.v1.AuthService: each method decodes, calls one use case, encodes."""

from dataclasses import dataclass

import grpc
from authapi.v1 import auth_service_pb2 as api
from authapi.v1 import auth_service_pb2_grpc as rpc

from authservice.domain.deadline import Deadline
from authservice.ports import Clock
from authservice.transport.messages.auth import identity, logout_request, session_tokens
from authservice.transport.messages.times import timestamp
from authservice.usecases.auth.login import Credentials, Login
from authservice.usecases.auth.logout import Logout
from authservice.usecases.auth.refresh import Refresh
from authservice.usecases.auth.register import Register, Registration
from authservice.usecases.auth.verify import Verify

SERVICE = "authapi.v1.AuthService"
PASSWORD_METHODS = frozenset({f"/{SERVICE}/Register", f"/{SERVICE}/Login"})

LONGEST_DEADLINE = 300.0
"""Seconds that a call may take, however long its caller would wait."""
NEVER = 10 * 365 * 86400.0
"""Seconds. A deadline further away than this is none."""


@dataclass(frozen=True, slots=True)
class AuthServicer(rpc.AuthServiceServicer):
    """Serves the five RPCs. Lives as long as the server.

    Args:
        default_deadline: seconds given to a call that brings no deadline.
    """

    register: Register
    login: Login
    refresh: Refresh
    logout: Logout
    verify: Verify
    clock: Clock
    default_deadline: float

    def Register(self, request: api.RegisterRequest, context: grpc.ServicerContext) -> api.RegisterResponse:
        """Create an account."""
        registration = Registration(request.user_name, request.password, request.email, request.idempotency_key)
        user = self.register(registration, self._deadline(context))
        return api.RegisterResponse(
            user_id=str(user.id), user_name=user.name.typed, create_time=timestamp(user.created_at)
        )

    def Login(self, request: api.LoginRequest, context: grpc.ServicerContext) -> api.LoginResponse:
        """Open a session."""
        credentials = Credentials(request.user_name_or_email, request.password, request.client_label)
        tokens = self.login(credentials, self._deadline(context))
        return api.LoginResponse(
            tokens=session_tokens(tokens), user_id=str(tokens.user_id), server_time=timestamp(self.clock())
        )

    def Refresh(self, request: api.RefreshRequest, context: grpc.ServicerContext) -> api.RefreshResponse:
        """Spend a refresh token."""
        tokens = self.refresh(request.refresh_token, self._deadline(context))
        return api.RefreshResponse(tokens=session_tokens(tokens), server_time=timestamp(self.clock()))

    def Logout(self, request: api.LogoutRequest, context: grpc.ServicerContext) -> api.LogoutResponse:
        """End sessions."""
        wanted = logout_request(request, context.invocation_metadata())
        return api.LogoutResponse(ended_sessions=self.logout(wanted, self._deadline(context)))

    def Verify(self, request: api.VerifyRequest, context: grpc.ServicerContext) -> api.VerifyResponse:
        """Say whose access token it is."""
        found = self.verify(request.access_token, self._deadline(context))
        return api.VerifyResponse(identity=identity(found), server_time=timestamp(self.clock()))

    def _deadline(self, context: grpc.ServicerContext) -> Deadline:
        # grpc answers None, or a time in the far future, for a call without a deadline.
        remaining = context.time_remaining()
        seconds = self.default_deadline if remaining is None or remaining > NEVER else min(remaining, LONGEST_DEADLINE)
        return Deadline.after(seconds, lambda: not context.is_active())
