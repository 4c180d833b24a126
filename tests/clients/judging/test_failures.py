"""What fails inside the guard denies, and neither answers nor logs tell anything."""

import itertools
import logging
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from authapi.v1.rule_pb2 import Rule
from authclient import Trust
from google.protobuf.duration_pb2 import Duration

from tests.clients.auth_server import AuthServer
from tests.clients.eventually import eventually
from tests.clients.guarded import KINDS, SIGNED_IN, UNAUTHENTICATED, UNAVAILABLE, Guarded, Outcome, handler, summary
from tests.clients.noted import Noted
from tests.clients.scripted import SECONDS, bearer, ended, token, uuid
from tests.clients.stand_ins import CANARY, unreachable


def break_observer(name: str) -> Callable[[Trust, pytest.MonkeyPatch], None]:
    return lambda trust, patch: patch.setattr(trust.observer, name, unreachable)


def break_keys(trust: Trust, patch: pytest.MonkeyPatch) -> None:
    class Broken(dict[str, Any]):
        get = unreachable

    patch.setattr(trust.knowledge, "keys", Broken())


def break_view(trust: Trust, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(trust.knowledge, "view", None)


BROKEN: dict[str, Callable[[Trust, pytest.MonkeyPatch], None]] = {
    "now": lambda trust, patch: patch.setattr(trust.knowledge, "now", unreachable),
    "view_age": lambda trust, patch: patch.setattr(trust.knowledge, "view_age", unreachable),
    "key_age": lambda trust, patch: patch.setattr(trust.knowledge, "key_age", unreachable),
    "keys": break_keys,
    "view": break_view,
    "judge": lambda trust, patch: patch.setattr(trust.judge, "judge", unreachable),
    "check": lambda trust, patch: patch.setattr(trust.judge, "check", unreachable),
    "admit": lambda trust, patch: patch.setattr(trust.judge, "admit", unreachable),
    "signature": lambda trust, patch: patch.setattr("authclient._tokens.keys.VerificationKey.verifies", unreachable),
    "claims": lambda trust, patch: patch.setattr("authclient._tokens.verifier.read_claims", unreachable),
    "header": lambda trust, patch: patch.setattr("authclient._judging.guard.Guard.start", unreachable),
}
BROKEN_REPORT = {"observer.refused": break_observer("refused")}


def through_a_broken_guard(
    trust: Trust, noted: Noted, damage: Callable[..., None], rule: Rule, metadata: Any
) -> list[Outcome]:
    with (
        Guarded(trust, noted.by_kind, dict.fromkeys(noted.by_kind, rule)) as shop,
        pytest.MonkeyPatch.context() as patch,
    ):
        damage(trust, patch)
        return [shop.call(kind, metadata=metadata) for kind in KINDS]


def assert_denied(found: list[Outcome], caplog: pytest.LogCaptureFixture) -> None:
    for each in found:
        assert each.code in {UNAVAILABLE, UNAUTHENTICATED}, each
        assert CANARY not in each.text
        assert "Exception" not in each.text
        assert each.reason is not None


@pytest.mark.parametrize("name", BROKEN)
def test_a6_a_failure_inside_the_guard_denies_and_tells_nobody(
    trust: Trust, noted: Noted, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    text = token(jti=name)
    found = through_a_broken_guard(trust, noted, BROKEN[name], SIGNED_IN, bearer(text))
    assert noted.callers == []
    assert_denied(found, caplog)
    assert {each.reason for each in found} == {"VERIFICATION_UNAVAILABLE"}
    assert text not in caplog.text
    assert CANARY in caplog.text or name == "view", "the log has the cause"


def test_a6_a_broken_report_of_a_refusal_does_not_change_the_refusal(
    trust: Trust, noted: Noted, caplog: pytest.LogCaptureFixture
) -> None:
    found = through_a_broken_guard(trust, noted, BROKEN_REPORT["observer.refused"], SIGNED_IN, ())
    assert noted.callers == []
    assert_denied(found, caplog)


def test_a6_a_broken_report_does_not_change_the_refusal_of_a_method_without_rule(
    trust: Trust, noted: Noted, caplog: pytest.LogCaptureFixture
) -> None:
    found = through_a_broken_guard(trust, noted, BROKEN_REPORT["observer.refused"], Rule(), ())
    assert {each.code for each in found} == {grpc.StatusCode.PERMISSION_DENIED}


def test_a6_a_broken_report_does_not_refuse_where_a_rule_only_observes(trust: Trust, noted: Noted) -> None:
    rule = Rule(authenticated=True, observe=True)
    found = through_a_broken_guard(trust, noted, BROKEN_REPORT["observer.refused"], rule, ())
    assert {each.code for each in found} == {grpc.StatusCode.OK}


def test_a6_a_failure_in_asking_denies(auth: AuthServer, trust: Trust, noted: Noted) -> None:
    rule = Rule(authenticated=True, max_staleness=Duration())
    found = through_a_broken_guard(
        trust, noted, lambda trust, patch: patch.setattr(trust, "ask", unreachable), rule, bearer(token())
    )
    assert {summary(each) for each in found} == {"UNAVAILABLE VERIFICATION_UNAVAILABLE"}
    assert all(CANARY not in each.text for each in found)
    auth.verify = lambda _request, context: context.abort(UNAUTHENTICATED, CANARY)
    with Guarded(trust, noted.by_kind, dict.fromkeys(noted.by_kind, rule)) as shop:
        answers = [shop.call(kind, metadata=bearer(token())) for kind in KINDS]
    assert {summary(each) for each in answers} == {"UNAVAILABLE VERIFICATION_UNAVAILABLE"}
    assert all(CANARY not in each.text for each in answers), "what Verify says is not passed on as text"
    assert noted.callers == []


def test_a6_details_of_verify_that_nobody_can_read_deny(auth: AuthServer, trust: Trust, noted: Noted) -> None:
    def broken(_request: Any, context: Any) -> None:
        context.set_trailing_metadata((("grpc-status-details-bin", b"\xff\xff\xff"),))
        context.abort(UNAUTHENTICATED, "broken")

    auth.verify = broken
    rule = Rule(authenticated=True, max_staleness=Duration())
    found = through_a_broken_guard(trust, noted, lambda *_: None, rule, bearer(token()))
    assert {summary(each) for each in found} == {"UNAVAILABLE VERIFICATION_UNAVAILABLE"}


def test_a_refusal_says_when_to_try_again_only_where_that_helps(auth: AuthServer, trust: Trust, noted: Noted) -> None:
    rule = Rule(authenticated=True, max_staleness=Duration())
    with Guarded(trust, noted.by_kind, dict.fromkeys(noted.by_kind, rule)) as shop:
        away = shop.call("unary_unary", metadata=bearer(token()))
        missing = shop.call("unary_unary")
    assert b"RetryInfo" in dict(away.trailing)["grpc-status-details-bin"]
    assert b"RetryInfo" not in dict(missing.trailing)["grpc-status-details-bin"]


def test_no_token_is_logged_or_answered_whatever_becomes_of_it(
    auth: AuthServer, trust: Trust, noted: Noted, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    always = Rule(authenticated=True, max_staleness=Duration())
    tokens = {
        "good": token(),
        "expired": token(iat=SECONDS - 900, nbf=SECONDS - 900, exp=SECONDS - 31),
        "foreign": token(aud="another"),
        "revoked": token(sid=uuid(1)),
        "unsigned": token()[:-4] + "AAAA",
        "long": "a." + "b" * 5000 + ".c",
    }
    auth.revoke(ended(uuid(1)))
    eventually(lambda: trust.knowledge.view.sessions, "the rule")
    handlers = noted.by_kind | {
        "Asking": noted.by_kind["unary_unary"],
        "Failing": handler("unary_unary", unreachable),
    }
    rules = dict.fromkeys(noted.by_kind, SIGNED_IN) | {"Asking": always, "Failing": SIGNED_IN}
    texts: list[str] = []
    with Guarded(trust, handlers, rules) as shop, pytest.MonkeyPatch.context() as patch:
        for broken in (False, True):
            if broken:
                patch.setattr(trust.knowledge, "now", unreachable)
            for text, kind in itertools.product(tokens.values(), KINDS):
                texts.append(shop.call(kind, metadata=bearer(text)).text)
            texts.append(shop.call("unary_unary", name="Asking", metadata=bearer(tokens["good"])).text)
            texts.append(shop.call("unary_unary", name="Failing", metadata=bearer(tokens["good"])).text)
    for name, text in tokens.items():
        for part in (text, text.split(".")[1], text.split(".")[2] if name != "long" else text):
            assert part not in caplog.text, name
            assert not any(part in answer for answer in texts), name
    assert "the guard of" in caplog.text
