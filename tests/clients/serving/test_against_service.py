"""A guarded service beside the real authentication service, on every kind of database."""

import functools
import threading
import time
from collections.abc import Callable, Iterator, Sized
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import grpc
import pytest
from authapi.v1 import auth_service_pb2_grpc as auth_rpc
from authapi.v1 import rule_pb2
from authclient import Trust, current_identity
from google.protobuf.duration_pb2 import Duration

from authservice import bootstrap
from authservice.config import Settings
from authservice.domain.deadline import Deadline
from authservice.domain.signing_key import RotationPlan
from authservice.serving.chores import start_feeding
from authservice.serving.worker import new_server
from authservice.transport.server import Limits
from tests.clients.eventually import SOON, eventually
from tests.clients.guarded import Guarded, Outcome, every_kind
from tests.clients.scripted import bearer
from tests.clients.stand_ins import Heard
from tests.conftest import CHEAPEST, HAS_ENTRANCE, Served, SettableClock, serve_in_process
from tests.observed import login, logout, refresh, register
from tests.rpc.second_factor.people import a_person

SIGNED_IN, SUPPORT = rule_pb2.Rule(authenticated=True), rule_pb2.Rule(any_role=["support"])
STRONG = rule_pb2.Rule(authenticated=True, mfa=True)
FRESH = rule_pb2.Rule(authenticated=True, max_auth_age=Duration(seconds=300))
KNOWN_WITHIN = 2.0
"""Seconds within which every service refuses what was revoked (S2)."""


def who(requests: list[bytes], context: Any) -> list[bytes]:
    return [current_identity(context).user_name.encode()]


def has_more_than(found: Sized, count: int) -> bool:
    return len(found) > count


class World:
    """The authentication service, a service that trusts it, and who calls them."""

    def __init__(self, service: bootstrap.Service, heard: Heard) -> None:
        self.service = service
        self.heard = heard
        self.server, self.port = serve_in_process(service)
        self.is_away = False
        self.trust = Trust(f"127.0.0.1:{self.port}", audience="internal", observer=heard, max_staleness=KNOWN_WITHIN)
        assert self.trust.wait_until_ready(SOON)
        handlers = every_kind(who)
        handlers |= dict.fromkeys(("support", "strong", "fresh"), handlers["unary_unary"])
        rules = dict.fromkeys(handlers, SIGNED_IN) | {"support": SUPPORT, "strong": STRONG, "fresh": FRESH}
        self.shop = Guarded(self.trust, handlers, rules)
        self.channel = grpc.insecure_channel(f"127.0.0.1:{self.port}", options=[("grpc.use_local_subchannel_pool", 1)])
        self.auth = auth_rpc.AuthServiceStub(self.channel)

    def call(self, token: str, name: str = "unary_unary") -> Outcome:
        """Call the guarded service."""
        return self.shop.call("unary_unary", name=name, metadata=bearer(token))

    def verdict(self, token: str, name: str = "unary_unary") -> str:
        """Return the status and reason of such a call."""
        found = self.call(token, name)
        return f"{found.code.name} {found.reason}"

    def is_ended(self, token: str) -> bool:
        """Tell whether such a call is refused because the session has ended."""
        return self.verdict(token) == "UNAUTHENTICATED SESSION_ENDED"

    def has_keys(self, kids: set[str]) -> bool:
        """Tell whether the guarded service knows these keys and no others."""
        return set(self.trust.knowledge.keys) == kids

    def connected_since(self, connections: int) -> bool:
        """Tell whether there were more connections than so many."""
        return self.heard.connections > connections

    def refused_within(self, token: str, reason: str) -> None:
        """Fail unless a token is refused for this reason, soon and without asking."""
        eventually(lambda: self.verdict(token) == f"UNAUTHENTICATED {reason}", reason, seconds=KNOWN_WITHIN)
        assert not any(asked for _, asked in self.heard.judgements), "the view said so"

    def close(self) -> None:
        """End everything."""
        self.shop.__exit__()
        self.trust.close()
        self.channel.close()
        if not self.is_away:
            self.server.stop(0)

    def stop_auth(self) -> None:
        """Take the authentication service away."""
        self.server.stop(0)
        self.is_away = True

    def start_auth(self) -> None:
        """Start it again on its port."""
        limits = Limits(16, 512, 32, 64)
        server = new_server(self.service, limits, has_reflection=False, has_entrance=HAS_ENTRANCE)
        assert server.listen(f"127.0.0.1:{self.port}", None) == self.port
        self.server = Served(server, start_feeding(self.service, server))
        server.start()
        self.is_away = False


@pytest.fixture
def world(service: bootstrap.Service, heard: Heard) -> Iterator[World]:
    made = World(service, heard)
    yield made
    made.close()


def deadline() -> Deadline:
    return Deadline.after(SOON)


def test_a_guarded_service_knows_its_callers_and_asks_nobody(world: World) -> None:
    register(world.auth, "Ada")
    token = login(world.auth, "Ada").access_token
    for kind in ("unary_unary", "unary_stream", "stream_unary", "stream_stream"):
        assert world.shop.call(kind, metadata=bearer(token)).messages == [b"Ada"]
    assert world.heard.judgements == [
        (f"/shop.v1.Shop/{kind}", False) for kind in ("unary_unary", "unary_stream", "stream_unary", "stream_stream")
    ]


def test_s2_a_logout_is_seen_by_a_guarded_service(world: World) -> None:
    register(world.auth, "ada")
    out, stays = login(world.auth, "ada"), login(world.auth, "ada")
    assert world.verdict(out.access_token) == "OK None"
    logout(world.auth, out.access_token)
    world.refused_within(out.access_token, "SESSION_ENDED")
    assert world.verdict(stays.access_token) == "OK None"


def test_s7_disabling_a_user_is_seen_by_a_guarded_service(world: World) -> None:
    for name in ("ada", "grace"):
        register(world.auth, name)
    adas = [login(world.auth, "ada").access_token for _ in range(3)]
    graces = login(world.auth, "grace").access_token
    assert {world.verdict(token) for token in (*adas, graces)} == {"OK None"}
    world.service.admin.operate_users.disable("ada", deadline())
    for token in adas:
        world.refused_within(token, "SESSION_ENDED")
    assert world.verdict(graces) == "OK None"


def test_s7_a_change_of_roles_outdates_tokens_until_they_are_refreshed(world: World) -> None:
    register(world.auth, "ada")
    first = login(world.auth, "ada")
    assert world.verdict(first.access_token, "support") == "PERMISSION_DENIED ROLE_MISSING"
    world.service.admin.operate_users.grant("ada", "support", deadline())
    world.refused_within(first.access_token, "TOKEN_OUTDATED")
    second = refresh(world.auth, first.refresh_token)
    assert world.verdict(second.access_token, "support") == "OK None"
    world.service.admin.operate_users.take("ada", "support", deadline())
    world.refused_within(second.access_token, "TOKEN_OUTDATED")
    third = refresh(world.auth, second.refresh_token)
    assert world.verdict(third.access_token, "support") == "PERMISSION_DENIED ROLE_MISSING"


def test_y1_rotating_keys_under_load_refuses_no_valid_token(
    settings: Settings, clock: SettableClock, heard: Heard
) -> None:
    plan = RotationPlan(publish_for=timedelta(seconds=2), keep_for=timedelta(hours=1))
    service = bootstrap.assemble(settings, cores=2, clock=clock, hash_cost=CHEAPEST, rotation=plan)
    world = World(service, heard)
    stop, tokens = threading.Event(), [""]
    verdicts: list[str] = []
    register(world.auth, "ada")
    session = login(world.auth, "ada")
    tokens[0] = session.access_token

    def call() -> None:
        while not stop.is_set():
            verdicts.extend(world.verdict(token) for token in tokens[-3:])

    with ThreadPoolExecutor(3) as callers:
        loops = [callers.submit(call) for _ in range(3)]
        for _ in range(6):
            clock.advance(seconds=3)
            service.trust.rotate_keys.rotate(deadline())
            service.trust.keys.reload()
            session = refresh(world.auth, session.refresh_token)
            pending = {key.kid for key in service.trust.rotate_keys.all(deadline())}
            eventually(functools.partial(world.has_keys, pending), "the keys")
            tokens.append(session.access_token)
            seen = len(verdicts)
            eventually(functools.partial(has_more_than, verdicts, seen + 10), "calls with it")
        stop.set()
        for loop in loops:
            loop.result()
    world.close()
    service.close()
    assert set(verdicts) == {"OK None"}
    assert len(set(tokens)) == 7
    assert len(world.trust.knowledge.keys) >= 7
    assert heard.bad_key_sets == []


def test_k1_a_restart_under_load_refuses_no_valid_token_and_lets_no_revoked_one_in(world: World) -> None:
    register(world.auth, "ada")
    good = login(world.auth, "ada").access_token
    sessions = [login(world.auth, "ada").access_token for _ in range(4)]
    stop = threading.Event()
    verdicts: list[tuple[float, str]] = []
    revoked: dict[str, float] = {}
    wrong: list[str] = []

    def call_good() -> None:
        while not stop.is_set():
            verdicts.append((world.trust.view_age(), world.verdict(good)))

    def call_revoked() -> None:
        while not stop.is_set():
            for token, since in list(revoked.items()):
                begun = time.monotonic()
                verdict = world.verdict(token)
                if verdict == "OK None" and begun > since + KNOWN_WITHIN:
                    wrong.append(f"{begun - since:.1f} s later: {verdict}")

    with ThreadPoolExecutor(4) as callers:
        loops = [callers.submit(work) for work in (call_good, call_good, call_revoked)]
        for token in sessions:
            logout(world.auth, token)
            revoked[token] = time.monotonic()
            before = world.heard.connections
            world.stop_auth()
            seen = len(verdicts)
            eventually(functools.partial(has_more_than, verdicts, seen + 20), "calls while it is away")
            world.start_auth()
            eventually(functools.partial(world.connected_since, before), "the new connection")
            eventually(functools.partial(world.is_ended, token), "refused afterwards")
        stop.set()
        for loop in loops:
            loop.result()
    assert wrong == []
    assert [entry for entry in verdicts if entry[0] < KNOWN_WITHIN - 0.5 and entry[1] != "OK None"] == []
    assert {verdict for _, verdict in verdicts} <= {"OK None", "UNAVAILABLE VERIFICATION_UNAVAILABLE"}
    assert len(verdicts) > 80


def test_s3_while_the_service_is_away_for_long_nobody_is_guessed_about(
    world: World, make_old: Callable[[World], None]
) -> None:
    register(world.auth, "ada")
    token = login(world.auth, "ada").access_token
    assert world.verdict(token) == "OK None"
    world.stop_auth()
    make_old(world)
    assert world.verdict(token) == "UNAVAILABLE VERIFICATION_UNAVAILABLE"


@pytest.fixture
def make_old() -> Callable[[World], None]:
    """Return what lets the view of a world age, as a minute would."""

    def age(world: World) -> None:
        knowledge = world.trust.knowledge
        real = knowledge.monotonic
        knowledge.monotonic = lambda: real() + 60.0

    return age


def test_m7_rules_that_ask_for_a_second_factor_or_a_fresh_proof_let_in_who_has_stepped_up(
    world: World, clock: SettableClock
) -> None:
    ada = a_person(world.channel, clock)
    other = ada.ask().tokens  # A session that the app is not set up in.
    ada.set_up()
    ada.tokens, alone = other, other.access_token
    assert world.verdict(alone, "strong") == "PERMISSION_DENIED MFA_REQUIRED"
    assert world.verdict(alone, "fresh") == "OK None"
    clock.advance(minutes=6)
    eventually(
        lambda: world.verdict(alone, "fresh") == "PERMISSION_DENIED AUTHENTICATION_TOO_OLD",
        "it is too old",
    )
    stepped = ada.step_up(code=ada.code())
    assert [world.verdict(stepped, name) for name in ("strong", "fresh")] == ["OK None"] * 2
    assert world.verdict(alone, "strong") == "PERMISSION_DENIED MFA_REQUIRED", "the old token says the same"
