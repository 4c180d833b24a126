"""authapi.v1.AccountService: each method decodes, calls one use case, encodes."""

from dataclasses import dataclass

import grpc
from authapi.v1 import account_service_pb2 as api
from authapi.v1 import account_service_pb2_grpc as rpc

from authservice.domain.caller import Caller
from authservice.domain.deadline import Deadline
from authservice.transport.caller import caller_of, deadline_of
from authservice.transport.messages.account import (
    account,
    account_changes,
    estimated,
    listed_factors,
    listed_sessions,
    passkey_factor,
)
from authservice.transport.messages.second_factor import ceremony, enrollment
from authservice.transport.messages.times import timestamp
from authservice.transport.networks import Networks
from authservice.transport.registration import Registration
from authservice.transport.streams.exports import Exports
from authservice.transport.streams.writers import Send
from authservice.usecases.account import AccountStories
from authservice.usecases.account.change_password import PasswordChange
from authservice.usecases.account.estimate_password import Candidate
from authservice.usecases.account.finish_passkey_registration import PasskeyRegistration

DESCRIPTOR = api.DESCRIPTOR.services_by_name["AccountService"]


@dataclass(frozen=True, slots=True)
class AccountServicer(rpc.AccountServiceServicer):
    """Serves the RPCs of the owner of an account. Lives as long as the server.

    Args:
        default_deadline: seconds given to a call that brings no deadline.
    """

    stories: AccountStories
    default_deadline: float
    networks: Networks
    exports: Exports

    def ListSessions(self, request: api.ListSessionsRequest, context: grpc.ServicerContext) -> api.ListSessionsResponse:
        """Say where the caller is logged in."""
        caller = self._caller(context)
        return listed_sessions(self.stories.list_sessions(caller, self._deadline(context)), caller)

    def RevokeSession(
        self, request: api.RevokeSessionRequest, context: grpc.ServicerContext
    ) -> api.RevokeSessionResponse:
        """End one session of the caller."""
        ended = self.stories.revoke_session(request.session_id, self._caller(context), self._deadline(context))
        return api.RevokeSessionResponse(ended_sessions=ended)

    def RevokeOtherSessions(
        self, request: api.RevokeOtherSessionsRequest, context: grpc.ServicerContext
    ) -> api.RevokeOtherSessionsResponse:
        """End all sessions of the caller but this one."""
        ended = self.stories.revoke_other_sessions(self._caller(context), self._deadline(context))
        return api.RevokeOtherSessionsResponse(ended_sessions=ended)

    def ChangePassword(
        self, request: api.ChangePasswordRequest, context: grpc.ServicerContext
    ) -> api.ChangePasswordResponse:
        """Replace the password of the caller."""
        change = PasswordChange(request.old_password, request.new_password)
        ended = self.stories.change_password(change, self._caller(context), self._deadline(context))
        return api.ChangePasswordResponse(ended_sessions=ended)

    def EstimatePassword(
        self, request: api.EstimatePasswordRequest, context: grpc.ServicerContext
    ) -> api.EstimatePasswordResponse:
        """Say what a password would be worth."""
        candidate = Candidate(request.password, request.user_name, request.email)
        return estimated(self.stories.estimate_password(candidate, self._deadline(context)))

    def GetAccount(self, request: api.GetAccountRequest, context: grpc.ServicerContext) -> api.GetAccountResponse:
        """Say what is known of the caller."""
        found = self.stories.get_account(self._caller(context).user_id, self._deadline(context))
        return api.GetAccountResponse(account=account(found))

    def UpdateAccount(
        self, request: api.UpdateAccountRequest, context: grpc.ServicerContext
    ) -> api.UpdateAccountResponse:
        """Change what the caller says about themselves."""
        changed = self.stories.update_account(
            account_changes(request), self._caller(context).user_id, self._deadline(context)
        )
        return api.UpdateAccountResponse(account=account(changed))

    def ExportAccount(  # type: ignore[override]  # grpc passes a third argument to what does not block
        self, request: api.ExportAccountRequest, context: grpc.ServicerContext, send: Send
    ) -> None:
        """Send what is held about the caller. Returns at once; the stream goes on."""
        self.exports.open(self.stories.export_account(self._caller(context).user_id), context, send)

    ExportAccount.experimental_non_blocking = True  # type: ignore[attr-defined]  # so that it holds no thread

    def DeleteAccount(
        self, request: api.DeleteAccountRequest, context: grpc.ServicerContext
    ) -> api.DeleteAccountResponse:
        """Have the account of the caller erased."""
        erase_at, ended = self.stories.delete_account(self._caller(context).user_id, self._deadline(context))
        return api.DeleteAccountResponse(erase_time=timestamp(erase_at), ended_sessions=ended)

    def CancelDeletion(
        self, request: api.CancelDeletionRequest, context: grpc.ServicerContext
    ) -> api.CancelDeletionResponse:
        """Keep the account of the caller."""
        kept = self.stories.cancel_deletion(self._caller(context).user_id, self._deadline(context))
        return api.CancelDeletionResponse(account=account(kept))

    def RequestPasswordReset(
        self, request: api.RequestPasswordResetRequest, context: grpc.ServicerContext
    ) -> api.RequestPasswordResetResponse:
        """Have a token sent that sets a password."""
        network = self.networks.of_attempt(context)
        self.stories.request_password_reset(request.user_name_or_email, network, self._deadline(context))
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
        network = self.networks.of_attempt(context)
        self.stories.request_email_verification(request.user_name_or_email, network, self._deadline(context))
        return api.RequestEmailVerificationResponse()

    def VerifyEmail(self, request: api.VerifyEmailRequest, context: grpc.ServicerContext) -> api.VerifyEmailResponse:
        """Confirm an address."""
        return api.VerifyEmailResponse(ended_sessions=self.stories.verify_email(request.token, self._deadline(context)))

    def ChangeEmail(self, request: api.ChangeEmailRequest, context: grpc.ServicerContext) -> api.ChangeEmailResponse:
        """Have a token sent to another address."""
        self.stories.change_email(request.new_email, self._caller(context), self._deadline(context))
        return api.ChangeEmailResponse()

    def EnrollTotp(self, request: api.EnrollTotpRequest, context: grpc.ServicerContext) -> api.EnrollTotpResponse:
        """Begin to set up an authenticator app."""
        shown = self.stories.enroll_totp(self._caller(context), self._deadline(context))
        return api.EnrollTotpResponse(enrollment=enrollment(shown))

    def ConfirmTotp(self, request: api.ConfirmTotpRequest, context: grpc.ServicerContext) -> api.ConfirmTotpResponse:
        """Take the app's first code."""
        codes = self.stories.confirm_totp(request.code, self._caller(context), self._deadline(context))
        return api.ConfirmTotpResponse(recovery_codes=codes)

    def RemoveTotp(self, request: api.RemoveTotpRequest, context: grpc.ServicerContext) -> api.RemoveTotpResponse:
        """Forget the authenticator app."""
        return api.RemoveTotpResponse(
            ended_sessions=self.stories.remove_totp(self._caller(context), self._deadline(context))
        )

    def RegenerateRecoveryCodes(
        self, request: api.RegenerateRecoveryCodesRequest, context: grpc.ServicerContext
    ) -> api.RegenerateRecoveryCodesResponse:
        """Make new recovery codes."""
        codes = self.stories.regenerate_recovery_codes(self._caller(context), self._deadline(context))
        return api.RegenerateRecoveryCodesResponse(recovery_codes=codes)

    def BeginPasskeyRegistration(
        self, request: api.BeginPasskeyRegistrationRequest, context: grpc.ServicerContext
    ) -> api.BeginPasskeyRegistrationResponse:
        """Say what the browser is asked for."""
        begun = self.stories.begin_passkey_registration(self._caller(context), self._deadline(context))
        return api.BeginPasskeyRegistrationResponse(ceremony=ceremony(begun))

    def FinishPasskeyRegistration(
        self, request: api.FinishPasskeyRegistrationRequest, context: grpc.ServicerContext
    ) -> api.FinishPasskeyRegistrationResponse:
        """Keep a passkey."""
        wanted = PasskeyRegistration(request.ceremony_token, request.credential_json, request.name)
        kept = self.stories.finish_passkey_registration(wanted, self._caller(context), self._deadline(context))
        return api.FinishPasskeyRegistrationResponse(
            passkey=passkey_factor(kept.passkey), recovery_codes=kept.recovery_codes
        )

    def RenamePasskey(
        self, request: api.RenamePasskeyRequest, context: grpc.ServicerContext
    ) -> api.RenamePasskeyResponse:
        """Give a passkey a name."""
        self.stories.rename_passkey(request.passkey_id, request.name, self._caller(context), self._deadline(context))
        return api.RenamePasskeyResponse()

    def RemovePasskey(
        self, request: api.RemovePasskeyRequest, context: grpc.ServicerContext
    ) -> api.RemovePasskeyResponse:
        """Forget a passkey."""
        ended = self.stories.remove_passkey(request.passkey_id, self._caller(context), self._deadline(context))
        return api.RemovePasskeyResponse(ended_sessions=ended)

    def ListFactors(self, request: api.ListFactorsRequest, context: grpc.ServicerContext) -> api.ListFactorsResponse:
        """Say what logins ask for beside the password."""
        return listed_factors(*self.stories.list_factors(self._caller(context), self._deadline(context)))

    def _caller(self, context: grpc.ServicerContext) -> Caller:
        return caller_of(context, self.networks)

    def _deadline(self, context: grpc.ServicerContext) -> Deadline:
        return deadline_of(context, self.default_deadline)


def registration(stories: AccountStories, default_deadline: float, networks: Networks) -> Registration:
    """Return the service with its servicer and the exports under way."""
    exports = Exports()
    servicer = AccountServicer(stories, default_deadline, networks, exports)
    return Registration(DESCRIPTOR, servicer, rpc.add_AccountServiceServicer_to_server, exports)
