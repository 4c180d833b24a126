"""Who may call what: every RPC of the contract by every kind of caller."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from authapi.v1 import account_service_pb2 as account_api
from authapi.v1 import auth_service_pb2 as auth_api
from authapi.v1 import auth_service_pb2_grpc as rpc
from authapi.v1 import trust_service_pb2 as trust_api
from google.protobuf.message_factory import GetMessageClass
from uuid6 import uuid7

from authservice import bootstrap
from authservice.domain.deadline import Deadline
from tests.conftest import SettableClock
from tests.contract import ALL, FILES
from tests.observed import OTHER_PASSWORD, PASSWORD, Refusal, login, logout, register

SECONDS = 10
CALLERS = ("nobody", "no bearer", "garbage", "expired", "ended", "outdated", "user", "other user", "clerk")
"""By what they present in the metadata. The last three have tokens that are good."""
OK = "OK"


@dataclass
class World:
    """What requests need: users with sessions of their own."""

    stub: rpc.AuthServiceStub

    def login(self) -> auth_api.SessionTokens:
        """Open another session."""
        return login(self.stub, "ada")

    def session_of(self, caller: str) -> str:
        """Open a session for a caller, of their own, and return its id."""
        return login(self.stub, {"other user": "bob", "clerk": "eve"}.get(caller, "ada")).session_id


Request = Callable[[World, str], Any]


def to_anyone(request: Request) -> tuple[Request, Mapping[str, str]]:
    """Return the row of an RPC that judges what is in the request, and nobody by their metadata."""
    return request, dict.fromkeys(CALLERS, OK)


def to_users(request: Request, good: str = OK) -> tuple[Request, Mapping[str, str]]:
    """Return the row of an RPC that anyone may call who has a good token, and what they hear."""
    return request, dict.fromkeys(CALLERS, good) | {
        "nobody": "TOKEN_MISSING",
        "no bearer": "TOKEN_INVALID",
        "garbage": "TOKEN_INVALID",
        "expired": "TOKEN_EXPIRED",
        "ended": "SESSION_ENDED",
        "outdated": "TOKEN_OUTDATED",
    }


MATRIX: dict[str, tuple[Request, Mapping[str, str]]] = {
    "/authapi.v1.AuthService/Register": to_anyone(
        lambda _, caller: auth_api.RegisterRequest(user_name=caller.replace(" ", "-"), password=PASSWORD)
    ),
    "/authapi.v1.AuthService/Login": to_anyone(
        lambda *_: auth_api.LoginRequest(user_name_or_email="ada", password=PASSWORD)
    ),
    "/authapi.v1.AuthService/CompleteLogin": (
        lambda *_: auth_api.CompleteLoginRequest(challenge_token="made-up", code="000000"),
        dict.fromkeys(CALLERS, "CHALLENGE_OVER"),  # whoever sends it: what counts is in the request
    ),
    "/authapi.v1.AuthService/BeginPasskeyLogin": to_anyone(lambda *_: auth_api.BeginPasskeyLoginRequest()),
    "/authapi.v1.AuthService/LoginWithPasskey": (
        lambda *_: auth_api.LoginWithPasskeyRequest(
            passkey=auth_api.PasskeyProof(ceremony_token="made-up", credential_json='{"rawId": "AA"}')
        ),
        dict.fromkeys(CALLERS, "CHALLENGE_OVER"),  # whoever sends it: what counts is in the request
    ),
    "/authapi.v1.AuthService/StepUp": to_users(lambda *_: auth_api.StepUpRequest(password=PASSWORD)),
    "/authapi.v1.AuthService/Refresh": to_anyone(
        lambda world, _: auth_api.RefreshRequest(refresh_token=world.login().refresh_token)
    ),
    "/authapi.v1.AuthService/Verify": to_anyone(
        lambda world, _: auth_api.VerifyRequest(access_token=world.login().access_token)
    ),
    "/authapi.v1.AuthService/Logout": (
        lambda *_: auth_api.LogoutRequest(),
        dict.fromkeys(CALLERS, OK)  # also whose session has ended already, or whose roles have changed
        | {
            "nobody": "TOKEN_MISSING",
            "no bearer": "TOKEN_INVALID",
            "garbage": "TOKEN_INVALID",
            "expired": "TOKEN_EXPIRED",
        },
    ),
    "/authapi.v1.AccountService/ListSessions": to_users(lambda *_: account_api.ListSessionsRequest()),
    "/authapi.v1.AccountService/RevokeSession": to_users(
        lambda world, caller: account_api.RevokeSessionRequest(session_id=world.session_of(caller))
    ),
    "/authapi.v1.AccountService/RevokeOtherSessions": to_users(lambda *_: account_api.RevokeOtherSessionsRequest()),
    "/authapi.v1.AccountService/ChangePassword": to_users(
        lambda _, caller: account_api.ChangePasswordRequest(
            old_password=PASSWORD, new_password=f"{OTHER_PASSWORD} of {caller}"
        )
    ),
    "/authapi.v1.AccountService/EstimatePassword": to_anyone(
        lambda *_: account_api.EstimatePasswordRequest(password=PASSWORD)
    ),
    "/authapi.v1.AccountService/GetAccount": to_users(lambda *_: account_api.GetAccountRequest()),
    "/authapi.v1.AccountService/UpdateAccount": to_users(lambda *_: account_api.UpdateAccountRequest()),
    "/authapi.v1.AccountService/ExportAccount": to_users(lambda *_: account_api.ExportAccountRequest()),
    "/authapi.v1.AccountService/DeleteAccount": to_users(lambda *_: account_api.DeleteAccountRequest()),
    "/authapi.v1.AccountService/CancelDeletion": to_users(lambda *_: account_api.CancelDeletionRequest()),
    "/authapi.v1.AccountService/RequestPasswordReset": to_anyone(
        lambda *_: account_api.RequestPasswordResetRequest(user_name_or_email="ada")
    ),
    "/authapi.v1.AccountService/RequestEmailVerification": to_anyone(
        lambda *_: account_api.RequestEmailVerificationRequest(user_name_or_email="ada")
    ),
    "/authapi.v1.AccountService/ResetPassword": (
        lambda *_: account_api.ResetPasswordRequest(token="reset.x.y", new_password=PASSWORD),
        dict.fromkeys(CALLERS, "ONE_TIME_TOKEN_INVALID"),  # account/test_reset.py: with one that is good
    ),
    "/authapi.v1.AccountService/VerifyEmail": (
        lambda *_: account_api.VerifyEmailRequest(token="verify_email.x.y"),
        dict.fromkeys(CALLERS, "ONE_TIME_TOKEN_INVALID"),  # account/test_email.py: with one that is good
    ),
    "/authapi.v1.AccountService/ChangeEmail": to_users(
        lambda *_: account_api.ChangeEmailRequest(new_email="new@example.com")
    ),
    "/authapi.v1.AccountService/EnrollTotp": to_users(lambda *_: account_api.EnrollTotpRequest()),
    "/authapi.v1.AccountService/ConfirmTotp": to_users(
        lambda *_: account_api.ConfirmTotpRequest(code="000000"), good="SECOND_FACTOR_MISSING"
    ),
    "/authapi.v1.AccountService/RemoveTotp": to_users(lambda *_: account_api.RemoveTotpRequest(), good="MFA_REQUIRED"),
    "/authapi.v1.AccountService/RegenerateRecoveryCodes": to_users(
        lambda *_: account_api.RegenerateRecoveryCodesRequest(), good="MFA_REQUIRED"
    ),
    "/authapi.v1.AccountService/BeginPasskeyRegistration": to_users(
        lambda *_: account_api.BeginPasskeyRegistrationRequest()
    ),
    "/authapi.v1.AccountService/FinishPasskeyRegistration": to_users(
        lambda *_: account_api.FinishPasskeyRegistrationRequest(
            ceremony_token="made-up", credential_json="{}", name="Phone"
        ),
        good="CHALLENGE_OVER",
    ),
    "/authapi.v1.AccountService/RenamePasskey": to_users(
        lambda *_: account_api.RenamePasskeyRequest(passkey_id=str(uuid7()), name="Phone"), good="NOT_PERMITTED"
    ),
    "/authapi.v1.AccountService/RemovePasskey": to_users(
        lambda *_: account_api.RemovePasskeyRequest(passkey_id=str(uuid7())), good="MFA_REQUIRED"
    ),
    "/authapi.v1.AccountService/ListFactors": to_users(lambda *_: account_api.ListFactorsRequest()),
    "/authapi.v1.TrustService/GetSigningKeys": to_anyone(lambda *_: trust_api.GetSigningKeysRequest()),
    "/authapi.v1.TrustService/WatchRevocations": to_anyone(lambda *_: trust_api.WatchRevocationsRequest()),
}
GUARDS = {"/authapi.v1.StreamService/RenewStream"}
"""Part of the contract, and served by guarded services in place of this one; tests/clients has who may call it."""


def names() -> dict[str, Any]:
    return {f"/{method.containing_service.full_name}/{method.name}": method for method in ALL}


@pytest.fixture
def metadata(stub: rpc.AuthServiceStub, service: bootstrap.Service, clock: SettableClock) -> dict[str, Any]:
    """Return what each kind of caller presents."""
    for name in ("ada", "bob", "eve", "old"):
        register(stub, name)
    tokens = {"expired": login(stub, "ada").access_token}
    clock.advance(hours=1)
    operate = service.admin.operate_users
    tokens["outdated"] = login(stub, "old").access_token
    operate.grant("old", "clerk", Deadline.after(SECONDS))
    operate.grant("eve", "clerk", Deadline.after(SECONDS))
    tokens["ended"] = login(stub, "ada").access_token
    logout(stub, tokens["ended"])
    tokens |= {"user": login(stub, "ada").access_token, "other user": login(stub, "bob").access_token}
    tokens |= {"clerk": login(stub, "eve").access_token, "garbage": "a.b.c"}
    presented = {caller: (("authorization", f"Bearer {token}"),) for caller, token in tokens.items()}
    return {"nobody": (), "no bearer": (("authorization", "Basic YWRhOmFkYQ=="),), **presented}


def test_a1_every_rpc_of_the_contract_has_a_row() -> None:
    assert names().keys() - GUARDS == MATRIX.keys()
    assert FILES


@pytest.mark.parametrize("name", MATRIX)
def test_a1_every_rpc_answers_every_kind_of_caller_as_it_says(
    channel: grpc.Channel, stub: rpc.AuthServiceStub, metadata: dict[str, Any], name: str
) -> None:
    request, expected = MATRIX[name]
    world = World(stub)
    found = {caller: _answer(channel, name, request(world, caller), metadata[caller]) for caller in CALLERS}
    assert found == expected


@pytest.mark.parametrize("name", GUARDS)
def test_a1_what_guarded_services_serve_is_served_to_nobody_here(
    channel: grpc.Channel, metadata: dict[str, Any], name: str
) -> None:
    request = GetMessageClass(names()[name].input_type)()
    assert all(_answer(channel, name, request, metadata[caller]) != OK for caller in CALLERS)


def test_a2_an_id_in_a_request_is_one_that_a_test_tries_with_somebody_elses() -> None:
    ids = {
        f"{name}.{field.name}"
        for name, method in names().items()
        for field in method.input_type.fields
        if field.name.endswith(("_id", "_ids"))
    }
    assert ids == {
        "/authapi.v1.AccountService/RenamePasskey.passkey_id",  # passkeys/test_registration.py: by eve
        "/authapi.v1.AccountService/RemovePasskey.passkey_id",  # passkeys/test_registration.py: by eve
        "/authapi.v1.AccountService/RevokeSession.session_id",  # account/test_sessions.py: somebody elses
        "/authapi.v1.AuthService/Logout.session_id",  # auth/test_sessions.py: another users session
        "/authapi.v1.StreamService/RenewStream.stream_id",  # clients/serving/test_streams_renewal.py: by nobody else
    }


def _answer(channel: grpc.Channel, name: str, request: Any, metadata: Any) -> str:
    """Return the reason of a refusal, or OK."""
    method = names()[name]
    kind: Any = channel.unary_stream if method.server_streaming else channel.unary_unary
    call = kind(name, type(request).SerializeToString, GetMessageClass(method.output_type).FromString)
    try:
        answer = call(request, metadata=metadata, timeout=SECONDS)
        if method.server_streaming:
            next(answer)
            answer.cancel()
    except grpc.RpcError as error:
        return Refusal(error).reason or Refusal(error).code.name
    return OK
