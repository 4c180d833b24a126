"""Between the messages of the contract and the values of the domain."""

import functools
from collections.abc import Sequence
from datetime import UTC, datetime

from authapi.v1 import auth_service_pb2 as api
from authapi.v1 import trust_service_pb2 as trust
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from authservice.domain.errors import TokenInvalid
from authservice.domain.revocation import Revocation
from authservice.domain.signing_key import KeyState, SigningKey
from authservice.domain.tokens import Identity, SessionTokens

_KEY_STATES = {
    KeyState.PENDING: trust.KEY_STATE_PENDING,
    KeyState.ACTIVE: trust.KEY_STATE_ACTIVE,
    KeyState.RETIRED: trust.KEY_STATE_RETIRED,
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def timestamp(moment: datetime) -> Timestamp:
    """Return a moment as the wire has it, to the microsecond."""
    since = moment - _EPOCH
    return Timestamp(seconds=since.days * 86400 + since.seconds, nanos=since.microseconds * 1000)


def duration(seconds: float) -> Duration:
    """Return a length of time as the wire has it, to the microsecond."""
    whole, rest = divmod(round(seconds * 1_000_000), 1_000_000)
    return Duration(seconds=whole, nanos=rest * 1000)


def key_set(keys: Sequence[SigningKey] | None) -> trust.KeySet:
    """Return the public side of signing keys. None is a secret that is not given away."""
    if keys is None:
        return trust.KeySet(is_shared_secret=True)
    return trust.KeySet(keys=[_signing_key(key) for key in keys])


def _signing_key(key: SigningKey) -> trust.SigningKey:
    return trust.SigningKey(
        kid=key.kid,
        alg=key.alg,
        public_key=key.public,
        state=_KEY_STATES[key.state],
        create_time=timestamp(key.created_at),
        activate_time=timestamp(key.activated_at) if key.activated_at else None,
        retire_time=timestamp(key.retired_at) if key.retired_at else None,
    )


def revocation(rule: Revocation) -> trust.Revocation:
    """Return a rule as a service receives it."""
    expire_time = timestamp(rule.expires_at)
    if not rule.min_generation:
        return trust.Revocation(seq=rule.seq, session_id=str(rule.subject), expire_time=expire_time)
    outdated = trust.OutdatedTokens(user_id=str(rule.subject), min_generation=rule.min_generation)
    return trust.Revocation(seq=rule.seq, outdated_tokens=outdated, expire_time=expire_time)


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
