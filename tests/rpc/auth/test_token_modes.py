"""Managed keys in each algorithm, the shared secret, and rotation while callers go on."""

import base64
import json
from collections.abc import Callable
from datetime import timedelta

import grpc
import pytest
from authapi.v1 import auth_service_pb2_grpc as rpc

from authservice import bootstrap
from authservice.config import Settings
from authservice.domain.deadline import Deadline
from authservice.domain.signing_key import KeyState, RotationPlan
from authservice.security import key_ring
from authservice.usecases.trust.rotate_keys import TooEarly
from tests.conftest import CHEAPEST, SettableClock, serve_in_process
from tests.observed import ObservedChannel, login, refusal, register, verify


def header_of(token: str) -> dict[str, str]:
    segment = token.split(".", maxsplit=1)[0]
    header: dict[str, str] = json.loads(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    return header


def with_stub(service: bootstrap.Service, story: Callable[[rpc.AuthServiceStub], None]) -> None:
    server, port = serve_in_process(service)
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            story(rpc.AuthServiceStub(ObservedChannel.around(channel)))
    finally:
        server.stop(0)
        service.close()


MODES = [{"token_algorithm": alg} for alg in ("ES256", "EdDSA", "RS256")] + [{"jwt_secret": "s" * 32}]


@pytest.mark.parametrize("changes", MODES)
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_every_mode_signs_and_verifies_within_the_budget(settings: Settings, changes: dict[str, str]) -> None:
    changed = Settings(**{**settings.model_dump(), **changes})

    def story(stub: rpc.AuthServiceStub) -> None:
        register(stub, "ada")
        token = login(stub, "ada").access_token
        assert verify(stub, token).user_name == "ada"
        assert header_of(token)["alg"] == changes.get("token_algorithm", "HS256")
        assert header_of(token)["typ"] == "at+jwt"
        assert len(token) <= (1536 if header_of(token)["alg"] == "RS256" else 1024)

    with_stub(bootstrap.assemble(changed, hash_cost=CHEAPEST), story)


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_a_token_over_the_budget_is_refused_at_login_with_what_to_do(settings: Settings) -> None:
    long = settings.model_copy(update={"issuer": "https://" + "i" * 400})

    def story(stub: rpc.AuthServiceStub) -> None:
        register(stub, "名" * 40)
        answer = refusal(login, stub, "名" * 40)
        assert (answer.code, answer.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "TOKEN_TOO_LARGE")
        assert "Shorten" in answer.message

    with_stub(bootstrap.assemble(long, hash_cost=CHEAPEST), story)


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_a_token_signed_with_another_servers_secret_is_refused(settings: Settings) -> None:
    ours = Settings(**{**settings.model_dump(), "jwt_secret": "o" * 32})
    theirs = Settings(**{**settings.model_dump(), "jwt_secret": "t" * 32})
    tokens = []

    def issue(stub: rpc.AuthServiceStub) -> None:
        register(stub, "ada")
        tokens.append(login(stub, "ada").access_token)

    with_stub(bootstrap.assemble(theirs, hash_cost=CHEAPEST), issue)

    def present(stub: rpc.AuthServiceStub) -> None:
        assert refusal(verify, stub, tokens[0]).reason == "TOKEN_INVALID"

    with_stub(bootstrap.assemble(ours, hash_cost=CHEAPEST), present)


def test_y1_rotation_refuses_no_valid_token_and_removal_the_rest(
    settings: Settings, clock: SettableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_ring, "PUBLISHED_FIRST", 0.0)
    plan = RotationPlan(publish_for=timedelta(minutes=1), keep_for=timedelta(hours=1))
    service = bootstrap.assemble(settings, clock=clock, hash_cost=CHEAPEST, rotation=plan)
    rotate = service.trust.rotate_keys
    deadline = Deadline.after(60)

    def story(stub: rpc.AuthServiceStub) -> None:
        register(stub, "ada")
        tokens = [login(stub, "ada")]
        for _ in range(4):
            with pytest.raises(TooEarly):
                rotate.rotate(deadline)
            clock.advance(seconds=61)
            rotate.rotate(deadline)
            # A server that has not looked since still signs with the old key, and knows the new one.
            assert verify(stub, tokens[-1].access_token)
            service.trust.keys.reload()
            tokens.append(login(stub, "ada"))
            for earlier in tokens:
                assert verify(stub, earlier.access_token)
        assert len({header_of(each.access_token)["kid"] for each in tokens}) == 5
        states = [key.state for key in rotate.all(deadline)]
        assert (states.count(KeyState.ACTIVE), states.count(KeyState.PENDING)) == (1, 1)

        oldest = tokens[0].access_token
        for key in rotate.all(deadline):
            if key.kid == header_of(oldest)["kid"]:
                rotate._remove(key, deadline)  # as upkeep does when its time has come
        service.trust.keys.reload()
        assert refusal(verify, stub, oldest).reason == "TOKEN_INVALID"

    with_stub(service, story)


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_y1_a_key_signs_only_after_this_server_has_published_it_for_a_while(
    settings: Settings, clock: SettableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = bootstrap.assemble(settings, clock=clock, hash_cost=CHEAPEST)
    rotate = service.trust.rotate_keys

    def story(stub: rpc.AuthServiceStub) -> None:
        register(stub, "ada")
        before = header_of(login(stub, "ada").access_token)["kid"]
        # This server has known its two keys for a moment only, whatever the settable clock says.
        clock.advance(days=1)
        activated = rotate.rotate(Deadline.after(60)).kid
        monkeypatch.setattr(key_ring, "PUBLISHED_FIRST", 3600.0)
        service.trust.keys.reload()
        published = {key.kid: key.state for key in service.trust.keys.published or []}
        assert (published[before], published[activated]) == (KeyState.RETIRED, KeyState.ACTIVE)
        held_back = login(stub, "ada").access_token
        assert header_of(held_back)["kid"] == before
        monkeypatch.setattr(key_ring, "PUBLISHED_FIRST", 0.0)
        service.trust.keys.reload()
        assert header_of(login(stub, "ada").access_token)["kid"] == activated
        assert verify(stub, held_back)

    with_stub(service, story)


def test_upkeep_replaces_an_old_key_and_removes_a_dead_one(settings: Settings, clock: SettableClock) -> None:
    service = bootstrap.assemble(settings, clock=clock, hash_cost=CHEAPEST)
    deadline = Deadline.after(60)
    first = {key.kid for key in service.trust.rotate_keys.all(deadline)}
    clock.advance(days=31)
    service.trust.rotate_keys.ensure(deadline)
    keys = service.trust.rotate_keys.all(deadline)
    assert sorted(key.state.value for key in keys) == ["active", "pending", "retired"]
    clock.advance(hours=2)
    service.trust.rotate_keys.ensure(deadline)
    left = {key.kid for key in service.trust.rotate_keys.all(deadline)}
    assert len(left) == 2
    assert len(left & first) == 1
    service.close()
