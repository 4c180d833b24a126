"""Keys, and rules about revoked tokens."""

from collections.abc import Sequence

from authapi.v1 import trust_service_pb2 as api

from authservice.domain.revocation import Revocation
from authservice.domain.signing_key import KeyState, SigningKey
from authservice.transport.messages.times import timestamp

_KEY_STATES = {
    KeyState.PENDING: api.KEY_STATE_PENDING,
    KeyState.ACTIVE: api.KEY_STATE_ACTIVE,
    KeyState.RETIRED: api.KEY_STATE_RETIRED,
}


def key_set(keys: Sequence[SigningKey] | None) -> api.KeySet:
    """Return the public side of signing keys. None is a secret that is not given away."""
    if keys is None:
        return api.KeySet(is_shared_secret=True)
    return api.KeySet(keys=[_signing_key(key) for key in keys])


def _signing_key(key: SigningKey) -> api.SigningKey:
    return api.SigningKey(
        kid=key.kid,
        alg=key.alg,
        public_key=key.public,
        state=_KEY_STATES[key.state],
        create_time=timestamp(key.created_at),
        activate_time=timestamp(key.activated_at) if key.activated_at else None,
        retire_time=timestamp(key.retired_at) if key.retired_at else None,
    )


def revocation(rule: Revocation) -> api.Revocation:
    """Return a rule as a service receives it."""
    expire_time = timestamp(rule.expires_at)
    if not rule.min_generation:
        return api.Revocation(seq=rule.seq, session_id=str(rule.subject), expire_time=expire_time)
    outdated = api.OutdatedTokens(user_id=str(rule.subject), min_generation=rule.min_generation)
    return api.Revocation(seq=rule.seq, outdated_tokens=outdated, expire_time=expire_time)
