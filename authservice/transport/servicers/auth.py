"""authapi.v1.AuthService: each method decodes, calls one use case, encodes."""

from dataclasses import dataclass

import grpc
from authapi.v1 import auth_service_pb2 as api
from authapi.v1 import auth_service_pb2_grpc as rpc

from authservice.ports import Clock
from authservice.transport.caller import caller_of, deadline_of
from authservice.transport.messages.auth import (
    erase_time,
    identity,
    login_response,
    logout_request,
    session_tokens,
    step_up_proof,
)
from authservice.transport.messages.second_factor import ceremony
from authservice.transport.messages.times import timestamp
from authservice.transport.networks import Networks
from authservice.transport.registration import Registration
from authservice.usecases.auth import AuthStories, register
from authservice.usecases.auth.complete_login import Answer
from authservice.usecases.auth.login import Credentials
from authservice.usecases.auth.login_with_passkey import PasskeyLogin

DESCRIPTOR = api.DESCRIPTOR.services_by_name["AuthService"]
SERVICE = DESCRIPTOR.full_name


@dataclass(frozen=True, slots=True)
class AuthServicer(rpc.AuthServiceServicer):
    """Serves the RPCs. Lives as long as the server.

    Args:
        default_deadline: seconds given to a call that brings no deadline.
    """

    stories: AuthStories
    clock: Clock
    default_deadline: float
    networks: Networks

    def Register(self, request: api.RegisterRequest, context: grpc.ServicerContext) -> api.RegisterResponse:
        """Create an account."""
        wanted = register.Registration(
            request.user_name,
            request.password,
            request.email,
            request.idempotency_key,
            self.networks.of_attempt(context),
            request.invitation_token,
        )
        user = self.stories.register(wanted, deadline_of(context, self.default_deadline))
        return api.RegisterResponse(
            user_id=str(user.id), user_name=user.name.typed, create_time=timestamp(user.created_at)
        )

    def Login(self, request: api.LoginRequest, context: grpc.ServicerContext) -> api.LoginResponse:
        """Open a session."""
        credentials = Credentials(
            request.user_name_or_email,
            request.password,
            request.client_label,
            is_remembered=request.remember,
            new_password=request.new_password,
            network=self.networks.of_attempt(context),
        )
        outcome = self.stories.login(credentials, deadline_of(context, self.default_deadline))
        return login_response(outcome, self.clock())

    def CompleteLogin(
        self, request: api.CompleteLoginRequest, context: grpc.ServicerContext
    ) -> api.CompleteLoginResponse:
        """Open the session that a login has begun."""
        answer = Answer(request.challenge_token, request.code, self.networks.of_attempt(context), request.passkey_json)
        completed = self.stories.complete_login(answer, deadline_of(context, self.default_deadline))
        return api.CompleteLoginResponse(
            tokens=session_tokens(completed.tokens),
            user_id=str(completed.tokens.user_id),
            server_time=timestamp(self.clock()),
            recovery_codes=completed.recovery_codes,
            erase_time=erase_time(completed.tokens),
        )

    def BeginPasskeyLogin(
        self, request: api.BeginPasskeyLoginRequest, context: grpc.ServicerContext
    ) -> api.BeginPasskeyLoginResponse:
        """Say what a browser is asked."""
        begun = self.stories.begin_passkey_login(deadline_of(context, self.default_deadline))
        return api.BeginPasskeyLoginResponse(ceremony=ceremony(begun))

    def LoginWithPasskey(
        self, request: api.LoginWithPasskeyRequest, context: grpc.ServicerContext
    ) -> api.LoginWithPasskeyResponse:
        """Open a session."""
        wanted = PasskeyLogin(
            request.passkey.ceremony_token,
            request.passkey.credential_json,
            request.client_label,
            is_remembered=request.remember,
            network=self.networks.of_attempt(context),
        )
        tokens = self.stories.login_with_passkey(wanted, deadline_of(context, self.default_deadline))
        return api.LoginWithPasskeyResponse(
            tokens=session_tokens(tokens),
            user_id=str(tokens.user_id),
            server_time=timestamp(self.clock()),
            erase_time=erase_time(tokens),
        )

    def StepUp(self, request: api.StepUpRequest, context: grpc.ServicerContext) -> api.StepUpResponse:
        """Prove once more who is calling."""
        token = self.stories.step_up(
            step_up_proof(request), caller_of(context, self.networks), deadline_of(context, self.default_deadline)
        )
        return api.StepUpResponse(
            access_token=token.access_token,
            access_token_expire_time=timestamp(token.access_token_end),
            server_time=timestamp(self.clock()),
        )

    def Refresh(self, request: api.RefreshRequest, context: grpc.ServicerContext) -> api.RefreshResponse:
        """Spend a refresh token."""
        tokens = self.stories.refresh(request.refresh_token, deadline_of(context, self.default_deadline))
        return api.RefreshResponse(tokens=session_tokens(tokens), server_time=timestamp(self.clock()))

    def Logout(self, request: api.LogoutRequest, context: grpc.ServicerContext) -> api.LogoutResponse:
        """End sessions."""
        wanted = logout_request(request, context.invocation_metadata())
        return api.LogoutResponse(
            ended_sessions=self.stories.logout(wanted, deadline_of(context, self.default_deadline))
        )

    def Verify(self, request: api.VerifyRequest, context: grpc.ServicerContext) -> api.VerifyResponse:
        """Say whose access token it is."""
        found = self.stories.verify(request.access_token, deadline_of(context, self.default_deadline))
        return api.VerifyResponse(identity=identity(found), server_time=timestamp(self.clock()))


def registration(stories: AuthStories, clock: Clock, default_deadline: float, networks: Networks) -> Registration:
    """Return the service with its servicer."""
    servicer = AuthServicer(stories, clock, default_deadline, networks)
    return Registration(DESCRIPTOR, servicer, rpc.add_AuthServiceServicer_to_server)
