"""Tokens, and who they belong to."""

from collections.abc import Sequence
from datetime import datetime

from authapi.v1 import auth_service_pb2 as api
from google.protobuf.timestamp_pb2 import Timestamp

from authservice.domain.challenge import IssuedChallenge
from authservice.domain.errors import InvalidInput, Violation
from authservice.domain.session import Scope
from authservice.domain.tokens import Identity, SessionTokens
from authservice.transport.caller import bearer_token
from authservice.transport.messages.second_factor import challenge
from authservice.transport.messages.times import timestamp
from authservice.usecases.auth.logout import LogoutRequest
from authservice.usecases.auth.step_up import Proof


def session_tokens(tokens: SessionTokens) -> api.SessionTokens:
    """Return the tokens of a session as a client receives them."""
    return api.SessionTokens(
        session_id=str(tokens.session_id),
        access_token=tokens.access_token,
        access_token_expire_time=timestamp(tokens.access_token_end),
        refresh_token=tokens.refresh_token,
        refresh_token_expire_time=timestamp(tokens.refresh_token_end),
        session_expire_time=timestamp(tokens.session_end),
    )


def login_response(outcome: SessionTokens | IssuedChallenge, now: datetime) -> api.LoginResponse:
    """Return what a login has come to, as a client receives it at `now`."""
    if isinstance(outcome, IssuedChallenge):
        return api.LoginResponse(challenge=challenge(outcome), server_time=timestamp(now))
    return api.LoginResponse(
        tokens=session_tokens(outcome),
        user_id=str(outcome.user_id),
        server_time=timestamp(now),
        erase_time=erase_time(outcome),
    )


def erase_time(tokens: SessionTokens) -> Timestamp | None:
    """Return when the account of a session is to be erased, None if nobody has asked for that."""
    return timestamp(tokens.erase_at) if tokens.erase_at else None


def step_up_proof(request: api.StepUpRequest) -> Proof:
    """Return by what a caller proves who they are."""
    return Proof(
        password=request.password if request.HasField("password") else None,
        code=request.code if request.HasField("code") else None,
        passkey=(request.passkey.ceremony_token, request.passkey.credential_json)
        if request.HasField("passkey")
        else None,
    )


def identity(value: Identity) -> api.Identity:
    """Return an identity as a service receives it."""
    return api.Identity(
        user_id=str(value.user_id),
        user_name=value.user_name,
        session_id=str(value.session_id),
        roles=value.roles,
        auth_time=timestamp(value.authenticated_at),
        auth_methods=value.auth_methods,
        expire_time=timestamp(value.expires_at),
    )


_SCOPES = {
    api.LOGOUT_SCOPE_UNSPECIFIED: None,
    api.LOGOUT_SCOPE_THIS: Scope.THIS,
    api.LOGOUT_SCOPE_OTHERS: Scope.OTHERS,
    api.LOGOUT_SCOPE_ALL: Scope.ALL,
}


def logout_request(request: api.LogoutRequest, metadata: Sequence[tuple[str, str | bytes]]) -> LogoutRequest:
    """Return what a caller wants ended. Raises InvalidInput, TokenInvalid."""
    if request.scope not in _SCOPES:
        raise InvalidInput(Violation("scope", "is none of the values of LogoutScope"))
    return LogoutRequest(
        access_token=bearer_token(metadata),
        refresh_token=request.refresh_token,
        scope=_SCOPES[request.scope],
        session_id=request.session_id,
    )
