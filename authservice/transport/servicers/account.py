"""authapi.v1.AccountService: each method decodes, calls one use case, encodes."""

from dataclasses import dataclass

import grpc
from authapi.v1 import account_service_pb2 as api
from authapi.v1 import account_service_pb2_grpc as rpc

from authservice.domain.deadline import Deadline
from authservice.transport.caller import caller_of, deadline_of
from authservice.transport.messages.account import listed_sessions
from authservice.transport.registration import Registration
from authservice.usecases.account import AccountStories

DESCRIPTOR = api.DESCRIPTOR.services_by_name["AccountService"]


@dataclass(frozen=True, slots=True)
class AccountServicer(rpc.AccountServiceServicer):
    """Serves the RPCs of the owner of an account. Lives as long as the server.

    Args:
        default_deadline: seconds given to a call that brings no deadline.
    """

    stories: AccountStories
    default_deadline: float

    def ListSessions(self, request: api.ListSessionsRequest, context: grpc.ServicerContext) -> api.ListSessionsResponse:
        """Say where the caller is logged in."""
        caller = caller_of(context)
        return listed_sessions(self.stories.list_sessions(caller, self._deadline(context)), caller)

    def RevokeSession(
        self, request: api.RevokeSessionRequest, context: grpc.ServicerContext
    ) -> api.RevokeSessionResponse:
        """End one session of the caller."""
        ended = self.stories.revoke_session(request.session_id, caller_of(context), self._deadline(context))
        return api.RevokeSessionResponse(ended_sessions=ended)

    def RevokeOtherSessions(
        self, request: api.RevokeOtherSessionsRequest, context: grpc.ServicerContext
    ) -> api.RevokeOtherSessionsResponse:
        """End all sessions of the caller but this one."""
        ended = self.stories.revoke_other_sessions(caller_of(context), self._deadline(context))
        return api.RevokeOtherSessionsResponse(ended_sessions=ended)

    def RequestPasswordReset(
        self, request: api.RequestPasswordResetRequest, context: grpc.ServicerContext
    ) -> api.RequestPasswordResetResponse:
        """Have a token sent that sets a password."""
        self.stories.request_password_reset(request.user_name_or_email, self._deadline(context))
        return api.RequestPasswordResetResponse()

    def ResetPassword(
        self, request: api.ResetPasswordRequest, context: grpc.ServicerContext
    ) -> api.ResetPasswordResponse:
        """Set a password."""
        ended = self.stories.reset_password(request.token, request.new_password, self._deadline(context))
        return api.ResetPasswordResponse(ended_sessions=ended)

    def RequestEmailVerification(
        self, request: api.RequestEmailVerificationRequest, context: grpc.ServicerContext
    ) -> api.RequestEmailVerificationResponse:
        """Have a token sent that confirms an address."""
        self.stories.request_email_verification(request.user_name_or_email, self._deadline(context))
        return api.RequestEmailVerificationResponse()

    def VerifyEmail(self, request: api.VerifyEmailRequest, context: grpc.ServicerContext) -> api.VerifyEmailResponse:
        """Confirm an address."""
        return api.VerifyEmailResponse(ended_sessions=self.stories.verify_email(request.token, self._deadline(context)))

    def ChangeEmail(self, request: api.ChangeEmailRequest, context: grpc.ServicerContext) -> api.ChangeEmailResponse:
        """Have a token sent to another address."""
        self.stories.change_email(request.new_email, caller_of(context), self._deadline(context))
        return api.ChangeEmailResponse()

    def _deadline(self, context: grpc.ServicerContext) -> Deadline:
        return deadline_of(context, self.default_deadline)


def registration(stories: AccountStories, default_deadline: float) -> Registration:
    """Return the service with its servicer."""
    return Registration(
        DESCRIPTOR, AccountServicer(stories, default_deadline), rpc.add_AccountServiceServicer_to_server
    )
