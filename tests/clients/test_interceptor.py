"""Who gets through to a handler of a synchronous server, and what they and the handler see. Real sockets throughout."""

import contextlib
import itertools
import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from authapi.v1 import auth_service_pb2, rule_pb2, trust_service_pb2
from authapi.v1 import trust_service_pb2_grpc as trust_rpc
from authclient import AuthInterceptor, Policy, Trust, current_identity, find_identity, forwarded
from google.protobuf.duration_pb2 import Duration
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from tests.clients.guarded import KINDS, PUBLIC, SIGNED_IN, Guarded, Outcome, every_kind, handler, outcome, path
from tests.clients.scripted import (
    CANARY,
    SECONDS,
    SESSION,
    SNAPSHOT_END,
    SOON,
    USER,
    AuthServer,
    Hands,
    Heard,
    bearer,
    ended,
    eventually,
    forger,
    identity,
    key_set,
    refuse,
    step,
    token,
    unreachable,
    uuid,
)

Rule = rule_pb2.Rule
UNAUTHENTICATED = grpc.StatusCode.UNAUTHENTICATED
UNAVAILABLE = grpc.StatusCode.UNAVAILABLE
NewTrust = Callable[..., Trust]


class Noted:
    """Handlers of every kind that note who called, and answer what they were sent."""

    def __init__(self) -> None:
        self.callers: list[Any] = []
        self.metadata: list[dict[str, Any]] = []
        self.contexts: list[Any] = []

    def work(self, requests: list[bytes], context: Any) -> list[bytes]:
        self.callers.append(find_identity(context))
        self.metadata.append(dict(context.invocation_metadata()))
        self.contexts.append(context)
        return requests

    @property
    def handlers(self) -> dict[str, Any]:
        """One of each kind."""
        return every_kind(self.work)


@pytest.fixture
def noted() -> Noted:
    return Noted()


@pytest.fixture
def shop(trust: Trust, noted: Noted) -> Iterator[Guarded]:
    """Yield a service with a method of each kind, for anyone with a good token."""
    with Guarded(trust, noted.handlers) as guarded:
        yield guarded


def summary(found: Outcome) -> str:
    return f"{found.code.name} {found.reason}"


# --- default deny -----------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_method_without_a_good_rule_is_refused_to_everybody(
    trust: Trust, noted: Noted, caplog: pytest.LogCaptureFixture
) -> None:
    bad: dict[str, Rule | None] = {
        "None": None,
        "Empty": Rule(),
        "Both": Rule(public=True, authenticated=True),
        "PublicObserved": Rule(public=True, observe=True),
        "Shout": Rule(any_role=["ADMIN"]),
        "Twice": Rule(any_role=["reader", "reader"]),
        "NoAge": Rule(authenticated=True, max_auth_age=Duration(seconds=0)),
        "Negative": Rule(authenticated=True, max_staleness=Duration(seconds=-1)),
        "ObserveOnly": Rule(observe=True),
    }
    rules = {f"{name}{kind}": rule for name, rule in bad.items() for kind in KINDS}
    handlers = {f"{name}{kind}": noted.handlers[kind] for name in bad for kind in KINDS}
    with Guarded(trust, handlers, rules) as shop:
        for metadata in (bearer(token(roles=["reader", "admin"])), ()):
            found = {
                name: summary(shop.call(kind, name=name, metadata=metadata))
                for name, kind in itertools.product(handlers, KINDS)
                if name.endswith(kind)
            }
            assert found == dict.fromkeys(handlers, "PERMISSION_DENIED METHOD_WITHOUT_RULE")
    assert noted.callers == []
    assert all(path(name) in caplog.text for name in handlers)


def test_a_service_whose_file_was_not_named_is_refused(trust: Trust, noted: Noted) -> None:
    with Guarded(trust, noted.handlers, {"Other": PUBLIC}) as shop:
        assert {summary(shop.call(kind, metadata=bearer(token()))) for kind in KINDS} == {
            "PERMISSION_DENIED METHOD_WITHOUT_RULE"
        }
    assert noted.callers == []


def test_health_and_reflection_are_let_through_by_their_exact_names_only(trust: Trust, noted: Noted) -> None:
    alike = ("grpc.health.v1.HealthX", "grpc.health.v1.health", "grpc.health.v1", "grpc.health.v2.Health", "Health")
    extra = [grpc.method_handlers_generic_handler(name, noted.handlers) for name in alike]
    with Guarded(trust, noted.handlers, extra=extra) as shop:
        health_pb2_grpc.add_HealthServicer_to_server(health.HealthServicer(), shop._server)
        reflection.enable_server_reflection(("shop.v1.Shop",), shop._server)
        check = health_pb2_grpc.HealthStub(shop.channel).Check  # type: ignore[attr-defined]
        assert check(health_pb2.HealthCheckRequest(), timeout=SOON).status == health_pb2.HealthCheckResponse.SERVING
        listing = outcome(
            shop.channel,
            "stream_stream",
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
            [b"\x3a\x01*"],
        )
        assert listing.code is grpc.StatusCode.OK
        assert b"shop.v1.Shop" in listing.messages[0]
        for name in alike:
            found = outcome(shop.channel, "unary_unary", f"/{name}/unary_unary")
            assert summary(found) == "PERMISSION_DENIED METHOD_WITHOUT_RULE", name
    assert noted.callers == []


GARBAGE: list[tuple[tuple[str, Any], ...]] = [
    (),
    bearer("garbage"),
    bearer(token(exp=SECONDS - 10_000, iat=SECONDS - 20_000)),
    (("authorization", "Basic x"), ("authorization", "Bearer y")),
]


def test_a_public_method_needs_nothing_looks_at_nothing_and_knows_nobody(
    auth: AuthServer, new_trust: NewTrust, noted: Noted, heard: Heard
) -> None:
    auth.stop()  # Nobody is needed for that.
    trust = new_trust(auth)
    who: list[str] = []

    def work(requests: list[bytes], context: Any) -> list[bytes]:
        with pytest.raises(LookupError):
            current_identity(context)
        with pytest.raises(LookupError):
            forwarded(context)
        who.append("nobody")
        return noted.work(requests, context)

    handlers = every_kind(work)
    with Guarded(trust, handlers, dict.fromkeys(handlers, PUBLIC)) as shop:
        for kind, metadata in itertools.product(KINDS, [*GARBAGE, bearer(token())]):
            assert shop.call(kind, metadata=metadata).messages == [b"hello"]
    assert noted.callers == [None] * 20
    assert len(who) == 20
    assert (heard.judgements, heard.refusals) == ([], [])


def test_rules_are_read_from_real_descriptors() -> None:
    policy = Policy(auth_service_pb2.DESCRIPTOR, trust_service_pb2.DESCRIPTOR)
    assert policy.rejected == {}
    for name in ("Register", "Login", "Refresh", "Verify"):
        rule = policy.rule(f"/authapi.v1.AuthService/{name}")
        assert rule is not None
        assert rule.is_public, name
    assert policy.rule("/authapi.v1.AuthService/Nothing") is None
    assert policy.rule("/authapi.v1.TrustService/GetSigningKeys") is not None


def test_a_real_service_is_served_by_the_rules_of_its_own_descriptor(trust: Trust) -> None:
    class Keys(trust_rpc.TrustServiceServicer):
        def GetSigningKeys(self, request: Any, context: Any) -> trust_service_pb2.GetSigningKeysResponse:
            return trust_service_pb2.GetSigningKeysResponse(key_set=key_set(forger("ES256")))

        def WatchRevocations(self, request: Any, context: Any) -> Iterator[trust_service_pb2.WatchRevocationsResponse]:
            raise NotImplementedError

    with Guarded(trust, {"unused": handler("unary_unary", bytes)}) as shop:
        server = grpc.server(ThreadPoolExecutor(2), interceptors=[AuthInterceptor(trust, trust_service_pb2.DESCRIPTOR)])
        trust_rpc.add_TrustServiceServicer_to_server(Keys(), server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            answer = trust_rpc.TrustServiceStub(channel).GetSigningKeys(
                trust_service_pb2.GetSigningKeysRequest(), timeout=SOON
            )
            assert answer.key_set.keys[0].kid == "own-ES256"
        server.stop(0).wait()
        assert shop.call("unary_unary", name="unused").reason == "TOKEN_MISSING"


# --- identity ---------------------------------------------------------------------------------------------------------


def test_a_handler_of_each_kind_learns_who_calls_and_forgets_it_after_the_call(shop: Guarded, noted: Noted) -> None:
    for kind in KINDS:
        assert shop.call(kind, metadata=bearer(token())).messages == [b"hello"]
    assert [caller.user_id for caller in noted.callers] == [USER] * 4
    assert {caller.session_id for caller in noted.callers} == {SESSION}
    assert {caller.user_name for caller in noted.callers} == {"Ada"}
    assert {caller.roles for caller in noted.callers} == {("reader",)}
    eventually(lambda: not any(map(find_identity, noted.contexts)), "nobody is known after the call")
    with pytest.raises(LookupError):
        current_identity(noted.contexts[0])


def test_a_handler_that_raises_is_no_reason_to_remember_who_called(trust: Trust) -> None:
    contexts: list[Any] = []

    def work(requests: list[bytes], context: Any) -> list[bytes]:
        contexts.append(context)
        current_identity(context)
        context.abort(grpc.StatusCode.NOT_FOUND, "no such order")
        raise AssertionError

    with Guarded(trust, every_kind(work)) as shop:
        for kind in KINDS:
            assert shop.call(kind, metadata=bearer(token())).code is grpc.StatusCode.NOT_FOUND
        eventually(lambda: not any(map(find_identity, contexts)), "nobody is known after the call")
    assert len(contexts) == 4


def test_each_of_two_hundred_parallel_calls_of_twenty_users_knows_its_own_user(trust: Trust) -> None:
    meeting = threading.Barrier(20)

    def work(requests: list[bytes], context: Any) -> list[bytes]:
        seen = []
        for _ in range(2):
            seen.append(current_identity(context).user_id.encode())
            with contextlib.suppress(threading.BrokenBarrierError):
                meeting.wait(0.5)  # So that many are inside at once; the last round may be smaller.
        assert forwarded(context)[0][1] == dict(context.invocation_metadata())["authorization"]
        return seen

    tokens = {uuid(number): token(sub=uuid(number), sid=uuid(100 + number)) for number in range(20)}
    with Guarded(trust, every_kind(work)) as shop, ThreadPoolExecutor(40) as callers:
        calls = [
            (user, callers.submit(shop.call, KINDS[number // 20 % 4], metadata=bearer(tokens[user])))
            for number, user in enumerate(list(tokens) * 10)
        ]
        for user, call in calls:
            found = call.result()
            assert found.code is grpc.StatusCode.OK, found.details
            assert b"".join(found.messages).decode() == 2 * user
    assert len(calls) == 200


def test_the_token_is_passed_on_only_where_a_handler_asks_for_that(trust: Trust) -> None:
    text = token()
    passed: list[Any] = []

    def work(requests: list[bytes], context: Any) -> list[bytes]:
        passed.append(forwarded(context))
        identity = current_identity(context)
        assert text not in repr(identity)
        assert text not in str(vars(type(identity)))
        return requests

    with Guarded(trust, every_kind(work)) as shop:
        for kind in KINDS:
            assert shop.call(kind, metadata=bearer(text)).code is grpc.StatusCode.OK
    assert passed == [bearer(text)] * 4


# --- what callers may not say about themselves ------------------------------------------------------------------------

FORGED = [
    "x-user", "x-user-id", "x-user-roles", "x-user-id-bin", "x-auth-user", "x-auth-request-email",
    "x-authenticated-user", "x-authenticated-groups", "x-forwarded-user", "x-forwarded-email", "x-forwarded-groups",
    "x-forwarded-preferred-username", "x-remote-user", "remote-user", "x-role", "x-roles", "x-identity-claims",
    "x-identity-", "authclient-user", "authclient-stream", "authclient-identity-bin",
]  # fmt: skip
HARMLESS = [
    "x-request-id", "x-users", "x-username", "x-rolex", "x-forwarded-for", "x-forwarded-users", "user", "traceparent",
    "my-x-user", "authclientx", "remote-users", "x-remote-users", "a-bin",
]  # fmt: skip


def entries(names: list[str]) -> tuple[tuple[str, Any], ...]:
    return tuple((name, b"forged" if name.endswith("-bin") else "forged") for name in names)


@pytest.mark.parametrize(
    "rule", [SIGNED_IN, PUBLIC, Rule(authenticated=True, observe=True)], ids=["", "public", "observe"]
)
def test_a8_forged_entries_do_not_reach_a_handler_and_others_do(trust: Trust, noted: Noted, rule: Rule) -> None:
    metadata = (*entries(FORGED), *entries(HARMLESS), *bearer(token()), ("x-user", "twice"))
    with Guarded(trust, noted.handlers, dict.fromkeys(noted.handlers, rule)) as shop:
        for kind in KINDS:
            assert shop.call(kind, metadata=metadata).code is grpc.StatusCode.OK
    for seen in noted.metadata:
        assert set(FORGED) & set(seen) == set()
        assert set(HARMLESS) <= set(seen)
        assert "authorization" in seen
    assert len(noted.metadata) == 4


def header_variants(good: str) -> dict[str, tuple[tuple[str, Any], ...]]:
    """Return metadata that must not make anybody somebody."""
    other = token(sub=uuid(1), sid=uuid(2))
    plain = ("authorization", f"Bearer {good}")
    values = [
        "", " ", "Bearer", "Bearer ", f"Bearer  {good}", f"Bearer-{good}", good, f"Basic {good}", f"Token {good}",
        f"Bearer {good},", f"Bearer {good}, Bearer {good}", f"Bearer {good} {good}", f"Bearer,{good}", f"Bearer={good}",
        f"Bearer {good}.", f"Bearer .{good}", f"Bearer {good[:-1]}", f'Bearer "{good}"', f"Bearer {good}=",
        f"Bearer Bearer {good}", f"DPoP {good}", f"Bearer: {good}", f"Bear {good}", f"Bearer {good.upper()}",
        f"Bearer {good}%00", "Bearer null", "Bearer undefined", "Bearer none", f"Bearer {good};{other}",
    ]  # fmt: skip
    found: dict[str, tuple[tuple[str, Any], ...]] = {value: (("authorization", value),) for value in values}
    names = (
        "proxy-authorization", "x-authorization", "x-forwarded-authorization", "authorization-bin",
        "grpcgateway-authorization",
        "cookie", "x-access-token", "authentication", "authorizatio", "authorization-", "x-user", "x-auth-token",
    )  # fmt: skip
    for name in names:
        value: Any = f"Bearer {good}"
        found[name] = ((name, value.encode() if name.endswith("-bin") else value),)
    found["the same twice"] = plain, plain
    found["two users"] = plain, ("authorization", f"Bearer {other}")
    found["a bad one first"] = ("authorization", "Bearer x"), plain
    found["a bad one last"] = plain, ("authorization", "Bearer x")
    found["an empty one"] = plain, ("authorization", "")
    found["a basic one"] = plain, ("authorization", "Basic eA==")
    return found


def test_a8_no_variant_of_the_header_gives_an_identity(shop: Guarded, noted: Noted) -> None:
    variants = header_variants(token())
    assert len(variants) >= 40
    for number, (name, metadata) in enumerate(variants.items()):
        found = shop.call(KINDS[number % 4], metadata=metadata)
        assert found.code is UNAUTHENTICATED, name
        assert found.reason in {"TOKEN_INVALID", "TOKEN_MISSING"}, name
    assert noted.callers == []


def test_the_scheme_may_be_written_in_any_case(shop: Guarded, noted: Noted) -> None:
    for scheme in ("bearer", "BEARER", "bEaReR"):
        assert shop.call("unary_unary", metadata=(("authorization", f"{scheme} {token()}"),)).code is grpc.StatusCode.OK


# --- odd paths --------------------------------------------------------------------------------------------------------

ODD_PATHS = [
    "/shop.v1.Shop/Open/", "//shop.v1.Shop/Open", "/shop.v1.Shop//Open", "shop.v1.Shop/Open", "/shop.v1.Shop/open",
    "/SHOP.V1.SHOP/Open", "/shop.v1.Shop/Open?x=1", "/shop.v1.Shop/Open#x", "/shop.v1.Shop/Open%00",
    "/shop.v1.Shop/%4fpen",
    "/shop.v1.Shop%2fOpen", "/shop.v1.Shop/./Open", "/x/../shop.v1.Shop/Open", "/shop.v1.Shop/../shop.v1.Shop/Open",
    "/shop.v1.Shop/Open;a=b", "/shop.v1.Shop.Open", "/shop.v1.Shop", "/shop.v1.Shop/", "/", "//", "///", "*", ".",
    "/Open",
    "/Shop/Open", "/v1.Shop/Open", "/shop/v1/Shop/Open", "\\shop.v1.Shop\\Open", "/shop.v1.Shop/Open ",
    " /shop.v1.Shop/Open",
    "http://127.0.0.1/shop.v1.Shop/Open", "/grpc.health.v1.Health/../shop.v1.Shop/Open", "/grpc.health.v1.Health",
    "/grpc.health.v1.Health/Open", "/grpc.health.v1.Health//shop.v1.Shop/Open",
    "/authapi.v1.StreamService/RenewStream/",
]  # fmt: skip


def test_a4_odd_paths_run_no_handler(trust: Trust, noted: Noted) -> None:
    handlers = {"Open": noted.handlers["unary_unary"], "Closed": noted.handlers["unary_unary"]}
    with Guarded(trust, handlers, {"Open": PUBLIC, "Closed": SIGNED_IN}) as shop:
        assert shop.call("unary_unary", name="Open").code is grpc.StatusCode.OK
        assert shop.call("unary_unary", name="Closed").code is UNAUTHENTICATED
        noted.callers.clear()
        assert len(ODD_PATHS) >= 30
        for odd in [*ODD_PATHS, *(each.replace("Open", "Closed") for each in ODD_PATHS)]:
            found = outcome(shop.channel, "unary_unary", odd)
            assert found.code in {grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.INTERNAL}, f"{odd!r}: {found}"
    assert noted.callers == []


def test_a4_a_server_that_answers_every_path_is_guarded_on_every_path(trust: Trust, noted: Noted) -> None:
    class Everything(grpc.GenericRpcHandler):
        def service(self, handler_call_details: Any) -> Any:
            return noted.handlers["unary_unary"]

    with Guarded(trust, {"Open": noted.handlers["unary_unary"]}, {"Open": PUBLIC}, extra=[Everything()]) as shop:
        for odd in ODD_PATHS:
            found = outcome(shop.channel, "unary_unary", odd, metadata=bearer(token()))
            if odd.rpartition("/")[0] not in {"/grpc.health.v1.Health", "grpc.health.v1.Health"}:
                assert found.code is not grpc.StatusCode.OK, odd
    assert len(noted.callers) <= 1


# --- failures inside the guard ----------------------------------------------------------------------------------------


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
    "signature": lambda trust, patch: patch.setattr("authclient.keys.VerificationKey.verifies", unreachable),
    "claims": lambda trust, patch: patch.setattr("authclient.tokens.read_claims", unreachable),
    "header": lambda trust, patch: patch.setattr("authclient.gate.Guard.start", unreachable),
}
BROKEN_REPORT = {"observer.refused": break_observer("refused")}


def through_a_broken_guard(
    trust: Trust, noted: Noted, damage: Callable[..., None], rule: Rule, metadata: Any
) -> list[Outcome]:
    with (
        Guarded(trust, noted.handlers, dict.fromkeys(noted.handlers, rule)) as shop,
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
    with Guarded(trust, noted.handlers, dict.fromkeys(noted.handlers, rule)) as shop:
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
    with Guarded(trust, noted.handlers, dict.fromkeys(noted.handlers, rule)) as shop:
        away = shop.call("unary_unary", metadata=bearer(token()))
        missing = shop.call("unary_unary")
    assert b"RetryInfo" in dict(away.trailing)["grpc-status-details-bin"]
    assert b"RetryInfo" not in dict(missing.trailing)["grpc-status-details-bin"]


# --- secrecy ----------------------------------------------------------------------------------------------------------


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
    handlers = noted.handlers | {
        "Asking": noted.handlers["unary_unary"],
        "Failing": handler("unary_unary", unreachable),
    }
    rules = dict.fromkeys(noted.handlers, SIGNED_IN) | {"Asking": always, "Failing": SIGNED_IN}
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


# --- observing --------------------------------------------------------------------------------------------------------


def test_an_observing_rule_counts_and_lets_pass_with_and_without_an_identity(
    trust: Trust, noted: Noted, heard: Heard
) -> None:
    rule = Rule(any_role=["admin"], observe=True)
    with Guarded(trust, noted.handlers, dict.fromkeys(noted.handlers, rule)) as shop:
        for kind in KINDS:
            for metadata in (bearer(token()), (), bearer("garbage"), bearer(token(roles=["admin"]))):
                assert shop.call(kind, metadata=metadata).messages == [b"hello"]
    known = [caller.user_id if caller else None for caller in noted.callers]
    assert known == [USER, None, None, USER] * 4
    expected = [
        (path(kind), reason, False) for kind in KINDS for reason in ("ROLE_MISSING", "TOKEN_MISSING", "TOKEN_INVALID")
    ]
    assert heard.refusals == expected


def test_each_judgement_and_each_refusal_is_reported_once(
    auth: AuthServer, trust: Trust, noted: Noted, heard: Heard
) -> None:
    auth.verify = lambda _request, _context: identity()
    handlers = noted.handlers | {"Asking": noted.handlers["unary_unary"]}
    rules = dict.fromkeys(noted.handlers, SIGNED_IN) | {"Asking": Rule(authenticated=True, max_staleness=Duration())}
    with Guarded(trust, handlers, rules) as shop:
        for kind in KINDS:
            shop.call(kind, metadata=bearer(token()))
            shop.call(kind)
        shop.call("unary_unary", name="Asking", metadata=bearer(token()))
    assert heard.judgements == [(path(kind), False) for kind in KINDS] + [(path("Asking"), True)]
    assert heard.refusals == [(path(kind), "TOKEN_MISSING", True) for kind in KINDS]


# --- waiting, and asking ----------------------------------------------------------------------------------------------


def test_a_call_before_the_first_view_waits_for_it(new_trust: NewTrust, noted: Noted) -> None:
    server = AuthServer(is_scripted=True).start()  # type: ignore[abstract]  # what it does not play answers UNIMPLEMENTED
    try:
        trust = new_trust(server, patience=SOON)
        watch = server.next_watch()
        with Guarded(trust, noted.handlers) as shop, ThreadPoolExecutor(4) as callers:
            calls = [callers.submit(shop.call, kind, metadata=bearer(token())) for kind in KINDS]
            assert not any(call.done() for call in calls)
            watch.say(step(SNAPSHOT_END, opened=100.0, read=100.0, keys=key_set(forger("ES256"))))
            assert {call.result().code for call in calls} == {grpc.StatusCode.OK}
        assert server.shown == []
    finally:
        server.stop()


def test_a_call_waits_no_longer_than_the_patience_and_is_then_unavailable(new_trust: NewTrust, noted: Noted) -> None:
    trust = new_trust("127.0.0.1:1", patience=0.3)
    with Guarded(trust, noted.handlers) as shop:
        begin = time.monotonic()
        found = shop.call("unary_unary", metadata=bearer(token()))
        waited = time.monotonic() - begin
        assert summary(found) == "UNAVAILABLE VERIFICATION_UNAVAILABLE"
        assert 0.3 <= waited < 3.0
        assert summary(shop.call("unary_unary")) == "UNAUTHENTICATED TOKEN_MISSING", "that needs no view"
    assert noted.callers == []


# Which of the two comes first is not settled: the guard waits to the very end of the deadline.
IN_TIME = {UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}


def test_a_call_whose_deadline_is_shorter_than_the_patience_waits_no_longer(new_trust: NewTrust, noted: Noted) -> None:
    trust = new_trust("127.0.0.1:1", patience=5.0)
    with Guarded(trust, noted.handlers) as shop:
        begin = time.monotonic()
        found = shop.call("unary_unary", metadata=bearer(token()), timeout=0.3)
        assert found.code in IN_TIME
        assert time.monotonic() - begin < 2.0
    assert noted.callers == []


def test_a_verify_that_never_answers_lets_nobody_through(auth: AuthServer, trust: Trust, noted: Noted) -> None:
    held = threading.Event()
    auth.verify = lambda _request, _context: held.wait(SOON) and identity()
    always = Rule(authenticated=True, max_staleness=Duration())
    with Guarded(trust, noted.handlers, dict.fromkeys(noted.handlers, always)) as shop:
        begin = time.monotonic()
        found = shop.call("unary_unary", metadata=bearer(token()), timeout=0.3)
        assert time.monotonic() - begin < 2.0
    held.set()  # After the guard has given up, too.
    assert noted.callers == []
    assert found.code in IN_TIME


def test_a_staleness_of_zero_asks_each_time_and_believes_the_answer(
    auth: AuthServer, trust: Trust, noted: Noted
) -> None:
    always = Rule(authenticated=True, max_staleness=Duration())
    text = token()
    with Guarded(trust, noted.handlers, dict.fromkeys(noted.handlers, always)) as shop:
        auth.verify = lambda _request, _context: identity()
        for kind in KINDS:
            assert shop.call(kind, metadata=bearer(text)).code is grpc.StatusCode.OK
        assert auth.shown == [text] * 4
        auth.verify = lambda _request, context: refuse(context, UNAUTHENTICATED, "SESSION_ENDED")
        assert {summary(shop.call(kind, metadata=bearer(text))) for kind in KINDS} == {"UNAUTHENTICATED SESSION_ENDED"}
        auth.stop()
        begin = time.monotonic()
        found = {summary(shop.call(kind, metadata=bearer(text), timeout=2.0)) for kind in KINDS}
        assert found == {"UNAVAILABLE VERIFICATION_UNAVAILABLE"}
        assert time.monotonic() - begin < 4.0
    assert len(noted.callers) == 4


def test_s3_a_stale_view_asks_and_never_guesses(auth: AuthServer, new_trust: NewTrust, noted: Noted) -> None:
    hands = Hands()
    trust = new_trust(auth, monotonic=hands)
    assert trust.wait_until_ready(SOON)
    rules = {
        "unary_unary": SIGNED_IN,
        "unary_stream": Rule(authenticated=True, max_staleness=Duration(seconds=60)),
        "stream_unary": SIGNED_IN,
        "stream_stream": Rule(authenticated=True, max_staleness=Duration(seconds=1)),
    }
    auth.verify = lambda _request, _context: identity()
    text = token()
    with Guarded(trust, noted.handlers, rules) as shop:
        auth.cut()
        auth.is_scripted = True  # Silent from now on.
        until = time.monotonic() + 0.3
        eventually(lambda: len(auth.opened) > 1 or time.monotonic() > until, "the silence")
        hands.now += 30.0
        for kind in KINDS:
            assert shop.call(kind, metadata=bearer(text)).code is grpc.StatusCode.OK
        assert auth.shown == [text] * 3, "one of the four may know less"
        auth.stop()
        found = {kind: summary(shop.call(kind, metadata=bearer(text))) for kind in KINDS}
        refused = "UNAVAILABLE VERIFICATION_UNAVAILABLE"
        assert found == dict.fromkeys(KINDS, refused) | {"unary_stream": "OK None"}


def test_an_ended_session_is_refused_in_all_four_kinds(
    auth: AuthServer, shop: Guarded, trust: Trust, noted: Noted
) -> None:
    auth.revoke(ended())
    eventually(lambda: trust.knowledge.view.sessions, "the rule")
    found = {summary(shop.call(kind, metadata=bearer(token()))) for kind in KINDS}
    assert found == {"UNAUTHENTICATED SESSION_ENDED"}
    assert noted.callers == []


def test_what_a_rule_asks_is_asked_in_all_four_kinds(trust: Trust, noted: Noted) -> None:
    rules = {
        "ROLE_MISSING": Rule(any_role=["admin", "support"]),
        "MFA_REQUIRED": Rule(authenticated=True, mfa=True),
        "AUTHENTICATION_TOO_OLD": Rule(authenticated=True, max_auth_age=Duration(seconds=60)),
    }
    handlers = {f"{name}{kind}": noted.handlers[kind] for name in rules for kind in KINDS}
    poor = bearer(token(auth_time=SECONDS - 200))
    rich = bearer(token(roles=["support"], amr=["pwd", "mfa"]))
    every = {f"{name}{kind}": rule for name, rule in rules.items() for kind in KINDS}
    with Guarded(trust, handlers, every) as shop:
        for name, kind in itertools.product(rules, KINDS):
            assert summary(shop.call(kind, name=f"{name}{kind}", metadata=poor)) == f"PERMISSION_DENIED {name}"
            assert shop.call(kind, name=f"{name}{kind}", metadata=rich).code is grpc.StatusCode.OK
    assert len(noted.callers) == 12
    assert not re.search("admin|support", "".join(str(each) for each in noted.metadata))
