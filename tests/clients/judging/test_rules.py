"""Whom a rule lets through to a handler of a synchronous server. Real sockets throughout."""

import itertools
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from authapi.v1 import auth_service_pb2, rule_pb2, trust_service_pb2
from authapi.v1 import trust_service_pb2_grpc as trust_rpc
from authapi.v1.rule_pb2 import Rule
from authclient import AuthInterceptor, Policy, Trust, current_identity, forwarded
from google.protobuf import descriptor_pb2, duration_pb2
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.duration_pb2 import Duration
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from tests.clients.auth_server import AuthServer
from tests.clients.eventually import SOON
from tests.clients.guarded import (
    KINDS,
    PUBLIC,
    SIGNED_IN,
    UNAUTHENTICATED,
    Guarded,
    every_kind,
    handler,
    outcome,
    path,
    summary,
)
from tests.clients.noted import Noted
from tests.clients.protos import service_file
from tests.clients.scripted import SECONDS, USER, bearer, forger, identity, key_set, token
from tests.clients.stand_ins import Heard
from tests.clients.trusts import NewTrust


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
    handlers = {f"{name}{kind}": noted.by_kind[kind] for name in bad for kind in KINDS}
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
    with Guarded(trust, noted.by_kind, {"Other": PUBLIC}) as shop:
        assert {summary(shop.call(kind, metadata=bearer(token()))) for kind in KINDS} == {
            "PERMISSION_DENIED METHOD_WITHOUT_RULE"
        }
    assert noted.callers == []


def test_health_and_reflection_are_let_through_by_their_exact_names_only(trust: Trust, noted: Noted) -> None:
    alike = ("grpc.health.v1.HealthX", "grpc.health.v1.health", "grpc.health.v1", "grpc.health.v2.Health", "Health")
    extra = [grpc.method_handlers_generic_handler(name, noted.by_kind) for name in alike]
    with Guarded(trust, noted.by_kind, extra=extra) as shop:
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
    handlers = {"Open": noted.by_kind["unary_unary"], "Closed": noted.by_kind["unary_unary"]}
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
            return noted.by_kind["unary_unary"]

    with Guarded(trust, {"Open": noted.by_kind["unary_unary"]}, {"Open": PUBLIC}, extra=[Everything()]) as shop:
        for odd in ODD_PATHS:
            found = outcome(shop.channel, "unary_unary", odd, metadata=bearer(token()))
            assert found.code is not grpc.StatusCode.OK, odd
    assert noted.callers == []


def test_of_health_and_reflection_the_methods_are_exempt_that_they_have_and_no_others(
    trust: Trust, noted: Noted
) -> None:
    handlers = noted.by_kind
    exempt = {
        "grpc.health.v1.Health": ["Check", "List", "Watch"],
        "grpc.reflection.v1.ServerReflection": ["ServerReflectionInfo"],
        "grpc.reflection.v1alpha.ServerReflection": ["ServerReflectionInfo"],
    }
    for service, methods in exempt.items():
        every = dict.fromkeys([*methods, "Repair", "check"], handlers["unary_unary"])
        extra = [grpc.method_handlers_generic_handler(service, every)]
        with Guarded(trust, handlers, extra=extra) as shop:
            found = {name: outcome(shop.channel, "unary_unary", f"/{service}/{name}").code for name in every}
        passed = [name for name, code in found.items() if code is grpc.StatusCode.OK]
        assert passed == methods
        assert {code for name, code in found.items() if name not in methods} == {grpc.StatusCode.PERMISSION_DENIED}


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_answers_every_path_keeps_and_reports_a_limited_number_of_them(
    trust: Trust, noted: Noted, heard: Heard, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Everything(grpc.GenericRpcHandler):
        def service(self, handler_call_details: Any) -> Any:
            return noted.by_kind[kind]

    monkeypatch.setattr("authclient._serving.interception.MOST_OTHER_METHODS", 5)
    with Guarded(trust, {"Open": noted.by_kind["unary_unary"]}, {"Open": PUBLIC}, extra=[Everything()]) as shop:
        assert shop.interceptor
        for number in range(20):
            found = outcome(shop.channel, kind, f"/shop.v1.Other/Method{number}", metadata=bearer(token()))
            assert summary(found) == "PERMISSION_DENIED METHOD_WITHOUT_RULE"
        assert shop.call("unary_unary", name="Open").code is grpc.StatusCode.OK
        assert len(shop.interceptor._wrapped) <= 7
    names = [method for method, _, _ in heard.refusals]
    assert names[:5] == [f"/shop.v1.Other/Method{number}" for number in range(5)]
    assert set(names[6:]) == {"/*"}
    assert len(names) == 20
    assert len(noted.callers) == 1, "the method with a rule"


UNKNOWN_PARTS = {
    "a field of a later version": SIGNED_IN.SerializeToString() + b"\x50\x01",  # 10: 1
    "a field of a later version with a text": SIGNED_IN.SerializeToString() + b"\x9a\x01\x01x",  # 19: "x"
    "mfa as a text": SIGNED_IN.SerializeToString() + b"\x22\x01\x01",
    "max_auth_age as a number": SIGNED_IN.SerializeToString() + b"\x28\x01",
    "a field in max_auth_age": SIGNED_IN.SerializeToString() + b"\x2a\x04\x08\x3c\x18\x01",
    "a field in max_staleness": SIGNED_IN.SerializeToString() + b"\x32\x02\x18\x01",
    "a field beside public": PUBLIC.SerializeToString() + b"\x50\x01",
}


def test_a_rule_with_fields_that_are_not_known_here_is_refused_and_says_what_to_do(trust: Trust, noted: Noted) -> None:
    rules = {f"Method{number}": Rule.FromString(data) for number, data in enumerate(UNKNOWN_PARTS.values())}
    rejected = Policy(service_file(**rules)).rejected
    why = "the rule has fields that this version does not know; upgrade authclient"
    assert rejected == {path(name): why for name in rules}
    handlers = dict.fromkeys(rules, noted.by_kind["unary_unary"])
    with Guarded(trust, handlers, rules) as shop:
        for name in rules:
            found = shop.call("unary_unary", name=name, metadata=bearer(token()))
            assert summary(found) == "PERMISSION_DENIED METHOD_WITHOUT_RULE"
    assert noted.callers == []


def test_a_method_that_two_files_describe_is_refused_in_either_order() -> None:
    one, other = service_file(Buy=SIGNED_IN, Look=PUBLIC), service_file(Buy=PUBLIC, Sell=SIGNED_IN)
    for files in ((one, other), (other, one), (one, other, service_file(Buy=PUBLIC))):
        policy = Policy(*files)
        assert policy.rejected == {path("Buy"): "it is described twice, in two files that define the same service"}
        assert set(policy.rules) == {path("Look"), path("Sell")}
    assert Policy(one, one).rejected == {}
    assert set(Policy(one, one).rules) == {path("Buy"), path("Look")}


def test_a_policy_that_is_told_which_roles_exist_rejects_a_rule_with_another() -> None:
    file = service_file(Buy=SIGNED_IN, Help=Rule(any_role=["support", "suport", "clerk"]), Look=None)
    missing = {path("Look"): "there is no (authapi.v1.rule) option"}
    assert Policy(file).rejected == missing
    assert Policy(file, roles={"support", "suport", "clerk"}).rejected == missing
    policy = Policy(file, roles=["support"])
    assert policy.rejected == missing | {path("Help"): "unknown role clerk, suport"}
    assert set(policy.rules) == {path("Buy")}
    assert set(Policy(file, roles=()).rejected) == {path("Help"), path("Look")}


def test_roles_that_are_one_text_are_not_taken_for_letters() -> None:
    with pytest.raises(TypeError, match=r"roles is 'support'; write a set of names, such as \{'support'\}"):
        Policy(service_file(Buy=SIGNED_IN), roles="support")


def test_an_interceptor_of_no_files_or_of_modules_says_what_to_give_it(trust: Trust) -> None:
    with pytest.raises(
        ValueError, match=r"^give the descriptors of your \.proto files, such as orders_pb2\.DESCRIPTOR$"
    ):
        AuthInterceptor(trust)
    with pytest.raises(TypeError, match=r"pass auth_service_pb2\.DESCRIPTOR$"):
        AuthInterceptor(trust, trust_service_pb2.DESCRIPTOR, auth_service_pb2)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"pass orders_pb2\.DESCRIPTOR$"):
        AuthInterceptor(trust, "orders.proto")  # type: ignore[arg-type]


def test_an_observing_rule_counts_and_lets_pass_with_and_without_an_identity(
    trust: Trust, noted: Noted, heard: Heard
) -> None:
    rule = Rule(any_role=["admin"], observe=True)
    with Guarded(trust, noted.by_kind, dict.fromkeys(noted.by_kind, rule)) as shop:
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
    handlers = noted.by_kind | {"Asking": noted.by_kind["unary_unary"]}
    rules = dict.fromkeys(noted.by_kind, SIGNED_IN) | {"Asking": Rule(authenticated=True, max_staleness=Duration())}
    with Guarded(trust, handlers, rules) as shop:
        for kind in KINDS:
            shop.call(kind, metadata=bearer(token()))
            shop.call(kind)
        shop.call("unary_unary", name="Asking", metadata=bearer(token()))
    assert heard.judgements == [(path(kind), False) for kind in KINDS] + [(path("Asking"), True)]
    assert heard.refusals == [(path(kind), "TOKEN_MISSING", True) for kind in KINDS]


def test_what_a_rule_asks_is_asked_in_all_four_kinds(trust: Trust, noted: Noted) -> None:
    rules = {
        "ROLE_MISSING": Rule(any_role=["admin", "support"]),
        "MFA_REQUIRED": Rule(authenticated=True, mfa=True),
        "AUTHENTICATION_TOO_OLD": Rule(authenticated=True, max_auth_age=Duration(seconds=60)),
    }
    handlers = {f"{name}{kind}": noted.by_kind[kind] for name in rules for kind in KINDS}
    poor = bearer(token(auth_time=SECONDS - 200))
    rich = bearer(token(roles=["support"], amr=["pwd", "mfa"]))
    every = {f"{name}{kind}": rule for name, rule in rules.items() for kind in KINDS}
    with Guarded(trust, handlers, every) as shop:
        for name, kind in itertools.product(rules, KINDS):
            assert summary(shop.call(kind, name=f"{name}{kind}", metadata=poor)) == f"PERMISSION_DENIED {name}"
            assert shop.call(kind, name=f"{name}{kind}", metadata=rich).code is grpc.StatusCode.OK
    assert len(noted.callers) == 12
    assert not re.search("admin|support", "".join(str(each) for each in noted.metadata))


def test_another_option_of_the_same_number_is_refused_by_protobuf_as_the_page_says() -> None:
    pool = DescriptorPool()
    for known in (descriptor_pb2, duration_pb2, rule_pb2):
        pool.AddSerializedFile(known.DESCRIPTOR.serialized_pb)
    other = descriptor_pb2.FileDescriptorProto(
        name="company/options.proto", dependency=[descriptor_pb2.DESCRIPTOR.name]
    )
    option = other.extension.add(name="owner", extendee=".google.protobuf.MethodOptions")
    option.number, option.type = rule_pb2.rule.number, option.TYPE_STRING
    option.label = option.LABEL_OPTIONAL
    with pytest.raises(TypeError) as refused:
        pool.AddSerializedFile(other.SerializeToString())
    page = (Path(__file__).parents[3] / "docs" / "rules.md").read_text()
    assert f"TypeError: {refused.value}\n" in page
    assert f"number {rule_pb2.rule.number}" in page
