"""What an authentication service says, as a test tells it to.

Its clock stands at the first of January 2026, which is not the time of the machine that runs the tests.
"""

import functools
from datetime import datetime, timezone
from typing import Any

import grpc
from authapi.v1 import auth_service_pb2 as auth_api
from authapi.v1 import trust_service_pb2 as api
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

from tests.unit.forgery import AUDIENCE, GOOD_CLAIMS, ISSUER, SECONDS, Forger, forger, to_json

__all__ = ["AUDIENCE", "ISSUER", "SECONDS", "forger"]

USER, SESSION = str(GOOD_CLAIMS["sub"]), str(GOOD_CLAIMS["sid"])
HISTORY = "history-one"
SNAPSHOT, SNAPSHOT_END, DELTA = api.WATCH_PART_SNAPSHOT, api.WATCH_PART_SNAPSHOT_END, api.WATCH_PART_DELTA


def uuid(number: int) -> str:
    """Return one of many UUIDs."""
    return f"00000000-0000-4000-8000-{number:012x}"


def token(signer: Forger | None = None, **claims: Any) -> str:
    """Return a token that is good unless its claims say otherwise."""
    login = {"auth_time": min(SECONDS, claims.get("iat", SECONDS))}
    return (signer or forger("ES256")).token(to_json(GOOD_CLAIMS | login | claims))


def bearer(text: str) -> tuple[tuple[str, str], ...]:
    """Return the metadata of a call with this token."""
    return (("authorization", f"Bearer {text}"),)


GOOD = bearer(token())
"""Metadata of a call with a good token."""


def key_set(*signers: Forger) -> api.KeySet:
    """Return the public keys of these."""
    return api.KeySet(
        keys=[
            api.SigningKey(
                kid=each.kid,
                alg=each.alg,
                public_key=each.public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
                state=api.KEY_STATE_ACTIVE,
            )
            for each in signers
        ]
    )


def ended(session_id: str = SESSION, expire: int = SECONDS + 3600) -> api.Revocation:
    """Return the rule that a session is over."""
    return api.Revocation(session_id=session_id, expire_time=Timestamp(seconds=expire))


def outdated(generation: int, user_id: str = USER, expire: int = SECONDS + 3600) -> api.Revocation:
    """Return the rule that a user's tokens below a generation are outdated."""
    subject = api.OutdatedTokens(user_id=user_id, min_generation=generation)
    return api.Revocation(outdated_tokens=subject, expire_time=Timestamp(seconds=expire))


def identity(**changes: Any) -> auth_api.VerifyResponse:
    """Return Verify's answer for the good token."""
    known: dict[str, Any] = {
        "user_id": USER,
        "user_name": "Ada",
        "session_id": SESSION,
        "roles": ["reader"],
        "auth_methods": ["pwd"],
        "auth_time": Timestamp(seconds=SECONDS),
        "expire_time": Timestamp(seconds=SECONDS + 900),
    }
    return auth_api.VerifyResponse(identity=auth_api.Identity(**known | changes))


def refuse(context: grpc.ServicerContext, code: grpc.StatusCode, reason: str = "", domain: str = "authservice") -> Any:
    """End a call as the real service would."""
    if reason:
        packed = AnyMessage()
        packed.Pack(ErrorInfo(reason=reason, domain=domain))
        status = Status(code=code.value[0], details=[packed])
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(code, "scripted")


def step(
    part: Any = DELTA,
    *rules: api.Revocation,
    count: int = 0,
    read: float = 100.0,
    opened: float | None = None,
    time_: float = SECONDS,
    keys: api.KeySet | None = None,
    seq: int = 0,
) -> api.WatchRevocationsResponse:
    """Return one answer of a watch.

    Args:
        count: how many rules there are, as the server counts.
        read: the server's uptime when it read them.
        opened: its uptime when the stream was opened; with it, it is the first answer.
        time_: its clock.
    """
    message = api.WatchRevocationsResponse(
        part=part,
        revocations=rules,
        rule_count=count,
        resume_point=api.ResumePoint(history=HISTORY, seq=seq),
        key_set=keys,
    )
    message.read_time.FromDatetime(datetime.fromtimestamp(time_, timezone.utc))
    message.read_uptime.CopyFrom(_duration(read))
    if opened is not None:
        message.open_uptime.CopyFrom(_duration(opened))
    return message


def _duration(seconds: float) -> Duration:
    return Duration(seconds=int(seconds), nanos=round(seconds % 1 * 1e9))


KEYS = key_set(forger("ES256"))
first_answer = functools.partial(step, SNAPSHOT_END, opened=100.0, read=100.0, keys=KEYS)
"""The first answer of a stream that was opened when the server's uptime was 100 seconds."""
MORE_KEYS = key_set(forger("ES256"), forger("EdDSA"))
