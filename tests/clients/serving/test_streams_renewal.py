"""Open streams live on with a fresher token of the same user, and with no other."""

import time
from typing import Any

import grpc
import pytest
from authapi.v1 import stream_service_pb2 as api
from authapi.v1 import stream_service_pb2_grpc as rpc
from authapi.v1.rule_pb2 import Rule
from authclient import Trust, reason_of
from google.protobuf.duration_pb2 import Duration

from tests.clients.auth_server import AuthServer
from tests.clients.eventually import SOON, eventually
from tests.clients.guarded import Guarded, summary
from tests.clients.scripted import SECONDS, bearer, ended, token, uuid
from tests.clients.serving.open_streams import NAME, Stream, Waiting, entered


def renew(shop: Guarded, text: str | None, name: str = NAME, metadata: Any = None) -> str:
    """Try to renew a stream. Return until when, in seconds after the beginning, or why not."""
    stub = rpc.StreamServiceStub(shop.channel)
    try:
        answer = stub.RenewStream(
            api.RenewStreamRequest(stream_id=name), metadata=metadata or (bearer(text) if text else ()), timeout=SOON
        )
    except grpc.RpcError as error:
        return f"{error.code().name} {reason_of(error.trailing_metadata())}"
    return str(answer.expire_time.seconds - SECONDS)


def test_a_fresher_token_of_the_same_user_lets_a_stream_live_on(
    auth: AuthServer, waiting_shop: Guarded, waiting: Waiting
) -> None:
    first = token(exp=SECONDS + 100)
    named = Stream(waiting_shop, "stream_stream", first, name=NAME)
    unnamed = Stream(waiting_shop, "stream_stream", first)
    entered(waiting, 2)
    assert renew(waiting_shop, token(exp=SECONDS + 900, sid=uuid(5))) == "900"
    auth.time = SECONDS + 200
    assert summary(unnamed.end()) == "UNAUTHENTICATED TOKEN_EXPIRED"
    assert named.is_open
    auth.revoke(ended())
    auth.revoke(ended(uuid(5)))
    assert summary(named.end()) == "UNAUTHENTICATED SESSION_ENDED", "with the session of the fresh token"


def test_a_renewed_stream_does_not_end_with_its_first_session(
    auth: AuthServer, waiting_shop: Guarded, waiting: Waiting, timed: Trust
) -> None:
    stream = Stream(waiting_shop, "unary_stream", token(exp=SECONDS + 100), name=NAME)
    entered(waiting)
    assert renew(waiting_shop, token(exp=SECONDS + 900, sid=uuid(5))) == "900"
    auth.revoke(ended())
    eventually(lambda: timed.knowledge.view.sessions, "the rule")
    ticks = time.monotonic() + 0.1
    eventually(lambda: time.monotonic() > ticks, "some ticks")
    assert stream.is_open


@pytest.mark.parametrize(("first", "second"), [(100, 900), (900, 100)])
def test_the_answer_to_a_renewal_says_when_the_stream_really_ends(
    auth: AuthServer, waiting_shop: Guarded, waiting: Waiting, timed: Trust, first: int, second: int
) -> None:
    stream = Stream(waiting_shop, "unary_stream", token(exp=SECONDS + first), name=NAME)
    entered(waiting)
    ends = SECONDS + int(renew(waiting_shop, token(exp=SECONDS + second)))
    auth.time = ends + 29
    eventually(lambda: timed.knowledge.now() >= ends + 29, "the new time")
    ticks = time.monotonic() + 0.1
    eventually(lambda: time.monotonic() > ticks, "some ticks")
    assert stream.is_open
    auth.time = ends + 30
    assert summary(stream.end()) == "UNAUTHENTICATED TOKEN_EXPIRED"


def test_a_stream_is_renewed_by_nobody_else_and_by_no_bad_token(
    auth: AuthServer, timed: Trust, waiting: Waiting
) -> None:
    rule = Rule(any_role=["reader"], mfa=True, max_auth_age=Duration(seconds=60))
    strong: dict[str, Any] = {"amr": ["pwd", "mfa"]}
    auth.revoke(ended(uuid(66)))
    eventually(lambda: timed.knowledge.view.sessions, "the rule")
    with Guarded(timed, waiting.handlers, dict.fromkeys(waiting.handlers, rule)) as shop:
        stream = Stream(shop, "stream_stream", token(**strong, exp=SECONDS + 100), name=NAME)
        entered(waiting)
        later = SECONDS + 900
        tries = {
            "another user": (token(**strong, sub=uuid(1), exp=later), "NOT_FOUND STREAM_UNKNOWN"),
            "no token": (None, "UNAUTHENTICATED TOKEN_MISSING"),
            "garbage": ("garbage", "UNAUTHENTICATED TOKEN_INVALID"),
            "another audience": (token(**strong, aud="b", exp=later), "UNAUTHENTICATED TOKEN_INVALID"),
            "an ended session": (token(**strong, sid=uuid(66), exp=later), "UNAUTHENTICATED SESSION_ENDED"),
            "expired": (
                token(**strong, iat=SECONDS - 900, nbf=SECONDS - 900, exp=SECONDS - 60),
                "UNAUTHENTICATED TOKEN_EXPIRED",
            ),
            "one factor": (token(exp=later), "PERMISSION_DENIED MFA_REQUIRED"),
            "no role": (token(**strong, roles=[], exp=later), "PERMISSION_DENIED ROLE_MISSING"),
            "an old login": (
                token(**strong, auth_time=SECONDS - 600, exp=later),
                "PERMISSION_DENIED AUTHENTICATION_TOO_OLD",
            ),
        }
        found = {why: renew(shop, text) for why, (text, _) in tries.items()}
        assert found == {why: expected for why, (_, expected) in tries.items()}
        names = ["", "x", NAME[:-1], NAME + "x", NAME.upper(), "a" * 22, "é" * 22, NAME + "\n"]
        assert {renew(shop, token(**strong, exp=later), name) for name in names} == {"NOT_FOUND STREAM_UNKNOWN"}
        twice = (*bearer(token(**strong, exp=later)), *bearer(token(**strong, exp=later)))
        assert renew(shop, None, metadata=twice) == "UNAUTHENTICATED TOKEN_INVALID"
        auth.time = SECONDS + 200
        assert summary(stream.end()) == "UNAUTHENTICATED TOKEN_EXPIRED", "none of them did anything"
        again = token(**strong, exp=later, iat=SECONDS + 190, auth_time=SECONDS + 190)
        assert renew(shop, again) == "NOT_FOUND STREAM_UNKNOWN"
        waiting.released.set()


def test_a_name_that_is_no_name_names_nothing(waiting_shop: Guarded, waiting: Waiting) -> None:
    bad = ["short", "a" * 21, "a" * 65, "a" * 21 + ".", "a" * 21 + " ", "a" * 21 + "="]
    streams = [Stream(waiting_shop, "unary_stream", token(), name=name) for name in bad]
    entered(waiting, len(bad))
    assert {renew(waiting_shop, token(), name) for name in bad} == {"NOT_FOUND STREAM_UNKNOWN"}
    good = [Stream(waiting_shop, "unary_stream", token(), name=name) for name in ("a" * 22, "_" * 64, NAME)]
    entered(waiting, 3)
    assert {renew(waiting_shop, token(), name) for name in ("a" * 22, "_" * 64, NAME)} == {"900"}
    for stream in (*streams, *good):
        stream.leave()
    eventually(lambda: waiting_shop.leases == 0, "nothing is kept")
    assert renew(waiting_shop, token()) == "NOT_FOUND STREAM_UNKNOWN"


def test_a_name_belongs_to_the_newest_stream_of_each_user(
    auth: AuthServer, waiting_shop: Guarded, waiting: Waiting
) -> None:
    mine = token(exp=SECONDS + 100)
    others = token(exp=SECONDS + 100, sub=uuid(1), sid=uuid(2))
    older = Stream(waiting_shop, "unary_stream", mine, name=NAME)
    entered(waiting)
    theirs = Stream(waiting_shop, "unary_stream", others, name=NAME)
    entered(waiting)
    newer = Stream(waiting_shop, "unary_stream", mine, name=NAME)
    entered(waiting)
    older.leave()
    eventually(lambda: waiting_shop.leases == 2, "the older one is gone, and takes nothing with it")
    assert renew(waiting_shop, token(exp=SECONDS + 900)) == "900"
    auth.time = SECONDS + 200
    assert summary(theirs.end()) == "UNAUTHENTICATED TOKEN_EXPIRED"
    assert newer.is_open
