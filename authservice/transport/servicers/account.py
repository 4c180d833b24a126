"""authapi.v1.AccountService: each method decodes, calls one use case, encodes."""

from dataclasses import dataclass

import grpc
from authapi.v1 import account_service_pb2 as api
from authapi.v1 import account_service_pb2_grpc as rpc

from authservice.domain.deadline import Deadline
from authservice.transport.caller import caller_of, deadline_of
from authservice.transport.messages.account import listed_factors, listed_sessions
from authservice.transport.messages.second_factor import enrollment
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

    def EnrollTotp(self, request: api.EnrollTotpRequest, context: grpc.ServicerContext) -> api.EnrollTotpResponse:
        """Begin to set up an authenticator app."""
        shown = self.stories.enroll_totp(caller_of(context), self._deadline(context))
        return api.EnrollTotpResponse(enrollment=enrollment(shown))

    def ConfirmTotp(self, request: api.ConfirmTotpRequest, context: grpc.ServicerContext) -> api.ConfirmTotpResponse:
        """Take the app's first code."""
        codes = self.stories.confirm_totp(request.code, caller_of(context), self._deadline(context))
        return api.ConfirmTotpResponse(recovery_codes=codes)

    def RemoveTotp(self, request: api.RemoveTotpRequest, context: grpc.ServicerContext) -> api.RemoveTotpResponse:
        """Forget the authenticator app."""
        return api.RemoveTotpResponse(
            ended_sessions=self.stories.remove_totp(caller_of(context), self._deadline(context))
        )

    def RegenerateRecoveryCodes(
        self, request: api.RegenerateRecoveryCodesRequest, context: grpc.ServicerContext
    ) -> api.RegenerateRecoveryCodesResponse:
        """Make new recovery codes."""
        codes = self.stories.regenerate_recovery_codes(caller_of(context), self._deadline(context))
        return api.RegenerateRecoveryCodesResponse(recovery_codes=codes)

    def ListFactors(self, request: api.ListFactorsRequest, context: grpc.ServicerContext) -> api.ListFactorsResponse:
        """Say what logins ask for beside the password."""
        return listed_factors(self.stories.list_factors(caller_of(context), self._deadline(context)))

    def _deadline(self, context: grpc.ServicerContext) -> Deadline:
        return deadline_of(context, self.default_deadline)


def registration(stories: AccountStories, default_deadline: float) -> Registration:
    """Return the service with its servicer."""
    return Registration(
        DESCRIPTOR, AccountServicer(stories, default_deadline), rpc.add_AccountServiceServicer_to_server
    )
