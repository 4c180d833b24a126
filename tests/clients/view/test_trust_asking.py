"""Verify is asked where a Trust cannot tell, and only its clear answers count."""

import asyncio
import threading
import time
from typing import Any

import grpc
import pytest
from authclient import Refused, Trust
from authclient._judging.verified import Ask
from authclient._view.asking import REPEATS

from tests.clients.auth_server import AuthServer
from tests.clients.eventually import SOON
from tests.clients.scripted import SECONDS, identity, refuse, token

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE
OTHER_CODES = [code for code in grpc.StatusCode if code.name not in {"OK", "UNAUTHENTICATED"}]
REFUSALS = ("SESSION_ENDED", "TOKEN_EXPIRED", "TOKEN_OUTDATED", "TOKEN_NOT_YET_VALID", "TOKEN_MISSING", "TOKEN_INVALID")


def reason_for(auth: AuthServer, trust: Trust, code: grpc.StatusCode, reason: str, domain: str = "authservice") -> str:
    """Return why a call is refused if Verify answers this."""
    auth.verify = lambda _request, context: refuse(context, code, reason, domain)
    with pytest.raises(Refused) as refused:
        trust.ask(Ask(token()), 5.0)
    return f"{refused.value.code.name} {refused.value.reason}"


def test_verify_that_neither_accepts_nor_refuses_leaves_the_token_undecided(auth: AuthServer, trust: Trust) -> None:
    found = {code.name: reason_for(auth, trust, code, "SESSION_ENDED") for code in OTHER_CODES}
    assert found == {code.name: "UNAVAILABLE VERIFICATION_UNAVAILABLE" for code in OTHER_CODES}
    assert len(found) == 15


def test_a_refusal_of_verify_is_passed_on_with_its_reason(auth: AuthServer, trust: Trust) -> None:
    unauthenticated = grpc.StatusCode.UNAUTHENTICATED
    found = {reason: reason_for(auth, trust, unauthenticated, reason) for reason in REFUSALS}
    assert found == {reason: f"UNAUTHENTICATED {reason}" for reason in REFUSALS}


def test_a_refusal_of_verify_without_a_reason_decides_nothing(auth: AuthServer, trust: Trust) -> None:
    for reason, domain in (("SOMETHING_NEW", "authservice"), ("SESSION_ENDED", "elsewhere"), ("", "")):
        found = reason_for(auth, trust, grpc.StatusCode.UNAUTHENTICATED, reason, domain)
        assert found == "UNAVAILABLE VERIFICATION_UNAVAILABLE"


def test_a_refusal_of_verify_with_a_reason_of_another_status_decides_nothing(auth: AuthServer, trust: Trust) -> None:
    for reason in ("ROLE_MISSING", "METHOD_WITHOUT_RULE", "STREAM_UNKNOWN"):
        found = reason_for(auth, trust, grpc.StatusCode.UNAUTHENTICATED, reason)
        assert found == "UNAVAILABLE VERIFICATION_UNAVAILABLE"


def test_verify_says_who_it_is_where_the_token_cannot_be_read_here(auth: AuthServer, trust: Trust) -> None:
    auth.verify = lambda _request, _context: identity(user_name="Grace", roles=["admin"], auth_methods=["pwd", "mfa"])
    text = token(gen=5)
    verified = trust.ask(Ask(text), 5.0)
    assert (verified.identity.user_name, verified.known.has_mfa) == ("Grace", True)
    assert verified.known.roles == {"admin"}
    assert (verified.known.generation, verified.known.ends) == (5, SECONDS + 900)
    assert auth.shown == [text]


def test_an_answer_of_verify_without_an_identity_is_none(auth: AuthServer, trust: Trust) -> None:
    auth.verify = lambda _request, _context: type(identity())()
    with pytest.raises(Refused, match="VERIFICATION_UNAVAILABLE"):
        trust.ask(Ask(token()), 5.0)


def asked(trust: Trust, way: str) -> str:
    """Return who Verify says it is, asked by a thread or by a task."""
    question = Ask(token())
    verified = trust.ask(question, 5.0) if way == "thread" else asyncio.run(trust.ask_async(question, 5.0))
    return verified.identity.user_name


LOST = [(UNAVAILABLE, ""), (grpc.StatusCode.CANCELLED, ""), (UNAVAILABLE, "SHUTTING_DOWN")]


@pytest.mark.parametrize(("code", "reason"), LOST)
@pytest.mark.parametrize("way", ["thread", "task"])
def test_a_question_that_is_lost_with_its_connection_or_server_is_asked_again_a_few_times(
    auth: AuthServer, trust: Trust, way: str, code: grpc.StatusCode, reason: str
) -> None:
    def lost_once(_request: object, context: grpc.ServicerContext) -> Any:
        return refuse(context, code, reason) if len(auth.shown) == 1 else identity(user_name="Grace")

    auth.verify = lost_once
    assert asked(trust, way) == "Grace"
    auth.shown.clear()
    auth.verify = lambda _request, context: refuse(context, code, reason)
    with pytest.raises(Refused, match="Verify answered"):
        asked(trust, way)
    assert len(auth.shown) == 1 + REPEATS, "the service was heard just now"


@pytest.mark.parametrize("way", ["thread", "task"])
def test_a_service_that_says_that_it_cannot_answer_is_not_asked_again(auth: AuthServer, trust: Trust, way: str) -> None:
    auth.verify = lambda _request, context: refuse(context, UNAVAILABLE, "STORAGE_UNAVAILABLE")
    with pytest.raises(Refused, match="Verify answered"):
        asked(trust, way)
    assert len(auth.shown) == 1


def test_a_verify_that_never_answers_is_not_waited_for(auth: AuthServer, trust: Trust) -> None:
    held = threading.Event()
    auth.verify = lambda _request, _context: held.wait(SOON) and identity()
    begin = time.monotonic()
    with pytest.raises(Refused) as refused:
        trust.ask(Ask(token()), 0.2)
    held.set()
    assert refused.value.reason == "VERIFICATION_UNAVAILABLE"
    assert time.monotonic() - begin < 2.0
    with pytest.raises(Refused):
        trust.ask(Ask(token()), -1.0)  # The time is over already.


def test_a_token_is_not_in_what_a_trust_or_its_parts_show(trust: Trust) -> None:
    text = token()
    found = trust.judge.judge(text, 10.0)
    question = trust.judge.judge(text, 0.0)
    for part in (trust, found, question, trust.judge, trust.knowledge, Refused("TOKEN_INVALID", "why")):
        assert text not in repr(part)
        assert text.split(".")[2] not in repr(part)
