"""Tokens, and who they belong to."""

import functools
from collections.abc import Sequence

from authapi.v1 import auth_service_pb2 as api

from authservice.domain.errors import TokenInvalid
from authservice.domain.tokens import Identity, SessionTokens
from authservice.transport.messages.times import timestamp


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


@functools.lru_cache(16384)
def identity(value: Identity) -> api.Identity:
    """Return an identity as a service receives it.

    Not to be changed: the next call for the same token returns it again.
    """
    return api.Identity(
        user_id=str(value.user_id),
        user_name=value.user_name,
        session_id=str(value.session_id),
        roles=value.roles,
        auth_time=timestamp(value.authenticated_at),
        auth_methods=value.auth_methods,
        expire_time=timestamp(value.expires_at),
    )


def bearer_token(metadata: Sequence[tuple[str, str | bytes]]) -> str:
    """Return the token of the `authorization` entry, or an empty text if there is none.

    Raises TokenInvalid for two entries, of which a proxy and a server may choose different ones, and for another
    scheme.
    """
    entries = [value for key, value in metadata if key == "authorization"]
    if not entries:
        return ""
    scheme, _, token = str(entries[0]).partition(" ")
    if len(entries) > 1 or scheme.lower() != "bearer" or not token:
        raise TokenInvalid
    return token
