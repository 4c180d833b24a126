"""TrustService over a real port: the keys, the stream of revocations, and how it begins, goes on and ends."""

import statistics
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from authapi.v1 import auth_service_pb2_grpc as auth_rpc
from authapi.v1 import stream_service_pb2 as stream_api
from authapi.v1 import stream_service_pb2_grpc as stream_rpc
from authapi.v1 import trust_service_pb2 as api
from authapi.v1 import trust_service_pb2_grpc as rpc
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import Engine

from authservice import bootstrap
from authservice.config import Settings
from authservice.domain.deadline import Deadline
from authservice.security.signing_keys import Forge
from authservice.storage.engine import open_engine
from tests.conftest import CHEAPEST, Served, SettableClock, serve_in_process, with_auth
from tests.faults.processes import wait_until
from tests.observed import ObservedChannel, Refusal, login, logout, refusal, register, verify
from tests.rpc.trust.watching import Watch, add_rules, seconds, watching

SQLITE = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
SECRET = "shared-secret-canary-of-at-least-32-bytes"
DELTA, SNAPSHOT, END = api.WATCH_PART_DELTA, api.WATCH_PART_SNAPSHOT, api.WATCH_PART_SNAPSHOT_END


@pytest.fixture
def served(service: bootstrap.Service) -> Iterator[tuple[Served, int]]:
    """Yield a server that admits three watchers, and its port."""
    server, port = serve_in_process(service, max_watchers=3)
    yield server, port
    server.stop(0)


@pytest.fixture
def engine(settings: Settings) -> Iterator[Engine]:
    engine = open_engine(settings.database_address().get_secret_value(), pool_size=2)
    yield engine
    engine.dispose()


@pytest.fixture
def trust(channel: grpc.Channel) -> rpc.TrustServiceStub:
    return rpc.TrustServiceStub(channel)


def watchers_of(served: Served) -> int:
    return served.server.open_streams


def rotate(service: bootstrap.Service, clock: SettableClock) -> None:
    clock.advance(minutes=2)
    service.trust.rotate_keys.rotate(Deadline.after(60))
    service.trust.keys.reload()


def states(key_set: api.KeySet) -> list[api.KeyState.ValueType]:
    """Return the states in the order of the contract. The first two keys are of one moment, by a clock that stands."""
    return sorted(key.state for key in key_set.keys)


def moment(stamp: Any) -> datetime:
    found: datetime = stamp.ToDatetime(UTC)
    return found


@SQLITE
def test_the_key_set_shows_every_key_with_its_state_and_times(
    trust: rpc.TrustServiceStub, service: bootstrap.Service, clock: SettableClock
) -> None:
    rotate(service, clock)
    answer = trust.GetSigningKeys(api.GetSigningKeysRequest())
    stored = service.trust.rotate_keys.all(Deadline.after(10))
    assert moment(answer.server_time) == clock.now
    assert not answer.key_set.is_shared_secret
    assert states(answer.key_set) == [api.KEY_STATE_PENDING, api.KEY_STATE_ACTIVE, api.KEY_STATE_RETIRED]
    made = [moment(key.create_time) for key in answer.key_set.keys]
    assert made == sorted(made)
    assert made[2] > made[1], "the oldest first"
    for sent, kept in zip(answer.key_set.keys, stored, strict=True):
        assert (sent.kid, sent.alg, sent.public_key) == (kept.kid, kept.alg, kept.public)
        assert isinstance(serialization.load_der_public_key(sent.public_key), ec.EllipticCurvePublicKey)
        assert moment(sent.create_time) == kept.created_at
        assert (moment(sent.activate_time) if sent.HasField("activate_time") else None) == kept.activated_at
        assert (moment(sent.retire_time) if sent.HasField("retire_time") else None) == kept.retired_at
        assert sent.HasField("retire_time") == (sent.state == api.KEY_STATE_RETIRED)
        assert sent.HasField("activate_time") == (sent.state != api.KEY_STATE_PENDING)


@SQLITE
@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA", "RS256"])
def test_y5_no_private_part_of_any_key_is_sent(settings: Settings, algorithm: str) -> None:
    service = bootstrap.assemble(settings.model_copy(update={"token_algorithm": algorithm}), hash_cost=CHEAPEST)
    server, port = serve_in_process(service)
    with watching(port) as watch:
        sent = watch.hear().SerializeToString()
        sent += rpc.TrustServiceStub(watch.channel).GetSigningKeys(api.GetSigningKeysRequest()).SerializeToString()
    forge = service.trust.rotate_keys.forge
    assert isinstance(forge, Forge)
    keys = service.trust.rotate_keys.all(Deadline.after(10))
    assert len(keys) == 2
    for key in keys:
        private: Any = forge.open(key)
        canaries = [key.sealed_private, key.sealed_private[-24:]]
        if algorithm == "EdDSA":
            canaries.append(private.private_bytes_raw())
        else:
            numbers = private.private_numbers()
            parts = [numbers.private_value] if algorithm == "ES256" else [numbers.d, numbers.p, numbers.q]
            canaries += [part.to_bytes((part.bit_length() + 7) // 8, "big") for part in parts]
        assert sent.count(key.public) == 2, "or it was not looked for where it would be"
        assert not [canary for canary in canaries if canary in sent]
    server.stop(0)
    service.close()


@SQLITE
def test_y5_a_shared_secret_is_named_and_not_sent(settings: Settings) -> None:
    shared = Settings(**{**settings.model_dump(), "jwt_secret": SECRET})
    service = bootstrap.assemble(shared, hash_cost=CHEAPEST)
    server, port = serve_in_process(service)
    with watching(port) as watch:
        first = watch.hear()
        answer = rpc.TrustServiceStub(watch.channel).GetSigningKeys(api.GetSigningKeysRequest())
    assert first.key_set == answer.key_set == api.KeySet(is_shared_secret=True)
    assert b"canary" not in first.SerializeToString() + answer.SerializeToString()
    server.stop(0)
    service.close()


@SQLITE
def test_a_watch_of_an_empty_log_begins_with_an_empty_snapshot(port: int, trust: rpc.TrustServiceStub) -> None:
    with watching(port) as watch:
        first = watch.hear()
        assert (first.part, first.rule_count, len(first.revocations)) == (END, 0, 0)
        assert first.key_set == trust.GetSigningKeys(api.GetSigningKeysRequest()).key_set
        assert first.resume_point.seq == 0
        assert 1 <= len(first.resume_point.history) <= 64
        assert first.resume_point.history.isascii()
        assert first.resume_point.history.isprintable()


@SQLITE
def test_a_large_snapshot_comes_in_parts_also_to_one_who_reads_slowly(
    port: int, engine: Engine, trust: rpc.TrustServiceStub, clock: SettableClock
) -> None:
    sessions = {str(each) for each in add_rules(engine, 2345, clock.now)}
    with watching(port) as quick:
        quick.hear_until(lambda: quick.sessions == sessions)
    with watching(port) as slow:
        while not slow.answers or slow.answers[-1].part == SNAPSHOT:
            for _ in range(20):  # What else there is to do between two parts.
                trust.GetSigningKeys(api.GetSigningKeysRequest())
            slow.hear()
        answers = slow.answers
        assert [len(answer.revocations) for answer in answers] == [500, 500, 500, 500, 345]
        assert [answer.part for answer in answers] == [SNAPSHOT] * 4 + [END]
        assert [answer.HasField("key_set") for answer in answers] == [True] + [False] * 4
        assert sum(answer.ByteSize() for answer in answers) > 65_535, "beyond the flow-control window"
        assert slow.sessions == sessions
        assert answers[-1].rule_count == 2345
        ends = {moment(rule.expire_time) for rule in slow.rules.values()}
        assert all(end.second == end.microsecond == 0 and end > clock.now for end in ends)
        assert slow.hear().part == DELTA


def test_s2_what_ends_or_outdates_tokens_arrives_in_order(
    port: int, stub: auth_rpc.AuthServiceStub, service: bootstrap.Service
) -> None:
    ada = register(stub, "ada").user_id
    tokens = [login(stub, "ada") for _ in range(5)]
    with watching(port) as watch:
        assert not watch.hear_view()[-1].revocations
        for each in tokens[:3]:
            logout(stub, each.access_token)
            watch.hear_until(lambda each=each: each.session_id in watch.sessions)  # type: ignore[misc]
        service.admin.operate_users.grant("ada", "support", Deadline.after(10))
        service.admin.operate_users.grant("ada", "auditor", Deadline.after(10))
        watch.hear_until(lambda: len(watch.rules) >= 5)
        service.admin.operate_users.disable("ada", Deadline.after(10))
        watch.hear_until(lambda: len(watch.rules) >= 7)
        arrived = [rule for answer in watch.answers for rule in answer.revocations]
        assert [rule.session_id for rule in arrived[:3]] == [each.session_id for each in tokens[:3]]
        outdated = [(rule.outdated_tokens.user_id, rule.outdated_tokens.min_generation) for rule in arrived[3:5]]
        assert outdated == [(ada, 1), (ada, 2)]
        assert {rule.session_id for rule in arrived[5:]} == {each.session_id for each in tokens[3:]}
        assert [rule.seq for rule in arrived] == sorted({rule.seq for rule in arrived})
        assert watch.point.seq == arrived[-1].seq
        assert all(answer.part == DELTA for answer in watch.answers[1:])
        latest = max(moment(each.access_token_expire_time) for each in tokens)
        for rule in arrived:
            # Until the last token has expired, and not much longer.
            assert timedelta(seconds=30) < moment(rule.expire_time) - latest <= timedelta(seconds=121)


@SQLITE
def test_at_least_one_answer_a_second_proves_that_the_view_is_young(port: int) -> None:
    with watching(port) as watch:
        watch.hear_view()
        watch.hear()  # The first one after a snapshot follows at once.
        ages, pauses, last = [], [], time.monotonic()
        for _ in range(4):
            answer = watch.hear()
            assert (answer.part, len(answer.revocations)) == (DELTA, 0)
            pauses.append(time.monotonic() - last)
            last = time.monotonic()
            ages.append(watch.age)
        uptimes = [seconds(answer.read_uptime) for answer in watch.answers[1:]]
    print(f"longest pause {max(pauses):.2f} s, oldest view {max(ages):.2f} s")
    # One that a busy machine delays makes one pause longer and the next one shorter.
    assert 0.3 < statistics.mean(pauses) < 1.5, "a second is promised, and nobody is flooded"
    assert uptimes == sorted(uptimes)
    assert len(set(uptimes)) == len(uptimes), "each answer proves more than the one before"
    assert min(ages) >= 0
    assert statistics.median(ages) < 1.5
    assert watch.answers[0].open_uptime.ToTimedelta() >= watch.answers[0].read_uptime.ToTimedelta()


@SQLITE
def test_who_resumes_gets_only_what_is_new(
    port: int, stub: auth_rpc.AuthServiceStub, engine: Engine, clock: SettableClock
) -> None:
    add_rules(engine, 700, clock.now)
    with watching(port) as first:
        first.hear_until(lambda: len(first.rules) == 700)
    new = {str(each) for each in add_rules(engine, 3, clock.now)}
    with watching(port) as other:
        other.hear_until(lambda: len(other.rules) == 703)
    resumed = Watch(port, first.point)
    resumed.rules = dict(first.rules)
    answer = resumed.hear()
    assert answer.part == DELTA
    assert {rule.session_id for rule in answer.revocations} == new
    assert answer.HasField("key_set")
    assert resumed.hear().part == DELTA
    resumed.close()
    with watching(port, resumed.point) as again:
        again.rules = dict(resumed.rules)
        assert not again.hear().revocations


@SQLITE
@pytest.mark.parametrize("case", ["another history", "no history", "ahead", "far ahead"])
def test_a_resume_point_of_another_history_or_ahead_is_refused(
    port: int, engine: Engine, clock: SettableClock, case: str
) -> None:
    add_rules(engine, 3, clock.now)
    with watching(port) as watch:
        watch.hear_until(lambda: len(watch.rules) == 3)
        history, seq = watch.point.history, watch.point.seq
    points = {
        "another history": api.ResumePoint(history=history[::-1], seq=seq),
        "no history": api.ResumePoint(),
        "ahead": api.ResumePoint(history=history, seq=seq + 1),
        "far ahead": api.ResumePoint(history=history, seq=2**63 - 1),
    }
    with watching(port, points[case]) as refused:
        answer = refused.ended()
    assert refused.answers == []
    assert (answer.code, answer.reason) == (grpc.StatusCode.OUT_OF_RANGE, "RESUME_POINT_UNKNOWN")


@SQLITE
def test_y1_a_change_of_the_key_set_arrives_on_the_stream_once(
    port: int, service: bootstrap.Service, clock: SettableClock
) -> None:
    with watching(port) as watch:
        assert states(watch.hear().key_set) == [api.KEY_STATE_PENDING, api.KEY_STATE_ACTIVE]
        assert not watch.hear().HasField("key_set")
        rotate(service, clock)
        answer = watch.hear_until(lambda: watch.answers[-1].HasField("key_set"))
        assert answer.part == DELTA
        assert states(answer.key_set) == [api.KEY_STATE_PENDING, api.KEY_STATE_ACTIVE, api.KEY_STATE_RETIRED]
        service.trust.keys.reload()  # Which changes nothing.
        assert not watch.hear().HasField("key_set")


@SQLITE
def test_more_watchers_than_admitted_are_refused_until_one_has_gone(served: tuple[Served, int]) -> None:
    server, port = served
    admitted = [Watch(port) for _ in range(3)]
    for watch in admitted:
        watch.hear()
    with watching(port) as refused:
        answer = refused.ended()
        assert (answer.code, answer.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")
        assert answer.retry_after == 1.0
        # Calls are not watchers.
        assert rpc.TrustServiceStub(refused.channel).GetSigningKeys(api.GetSigningKeysRequest()).key_set.keys
    admitted.pop().close()
    wait_until(lambda: watchers_of(server) == 2, 10, "the server to notice that one has hung up")
    with watching(port) as next_one:
        next_one.hear()
        assert watchers_of(server) == 3
    for watch in admitted:
        watch.hear()
        watch.close()
    wait_until(lambda: watchers_of(server) == 0, 10, "the server to forget all of them")


@SQLITE
def test_who_hangs_up_at_once_is_forgotten_too(
    served: tuple[Served, int], engine: Engine, clock: SettableClock
) -> None:
    server, port = served
    add_rules(engine, 2000, clock.now)
    with watching(port) as watch:
        watch.hear_until(lambda: len(watch.rules) == 2000)
        stub = rpc.TrustServiceStub(watch.channel)
        for number in range(60):
            call: Any = stub.WatchRevocations(api.WatchRevocationsRequest())
            if number % 2:
                list(zip(call, range(number % 3), strict=False))
            call.cancel()
        wait_until(lambda: watchers_of(server) == 1, 10, "the server to forget those who hung up")
        watch.hear()
    assert watchers_of(server) <= 1


@SQLITE
def test_x_a_server_that_stops_sends_its_watchers_elsewhere(served: tuple[Served, int]) -> None:
    server, port = served
    watches = [Watch(port) for _ in range(2)]
    for watch in watches:
        watch.hear()
    server.drain()
    with watching(port) as late:
        answers = [watch.ended() for watch in (*watches, late)]
    assert [(answer.code, answer.reason, answer.retry_after) for answer in answers] == [
        (grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN", 0.1)
    ] * 3
    assert late.answers == []
    assert watchers_of(server) == 0
    for watch in watches:
        watch.close()


@SQLITE
def test_stopping_with_watchers_takes_no_time(service: bootstrap.Service) -> None:
    server, port = serve_in_process(service)
    with watching(port) as watch:
        watch.hear()
        begin = time.monotonic()
        server.stop(20)
        assert time.monotonic() - begin < 5
        assert watch.ended().reason == "SHUTTING_DOWN"
    assert not [thread for thread in threading.enumerate() if thread.name == "watch" and _lives(thread)]


def _lives(thread: threading.Thread) -> bool:
    thread.join(5)
    return thread.is_alive()


@SQLITE
@pytest.mark.parametrize("bytes_sent", [b"\xff\xff\xff", b"\x0a\x05ab", b"\x0a\x02\x0a\xff"])
def test_v3_bytes_that_are_no_request_are_refused_as_such(channel: grpc.Channel, bytes_sent: bytes) -> None:
    watch: Any = channel.unary_stream("/authapi.v1.TrustService/WatchRevocations")
    with pytest.raises(grpc.RpcError) as ended:
        list(watch(bytes_sent, timeout=10))
    assert (Refusal(ended.value).code, Refusal(ended.value).reason) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_INPUT",
    )
    keys = refusal(channel.unary_unary("/authapi.v1.TrustService/GetSigningKeys"), b"\xff\xff\xff", timeout=10)
    assert (keys.code, keys.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_INPUT")


@SQLITE
def test_a_deadline_ends_a_watch_and_frees_its_place(served: tuple[Served, int]) -> None:
    server, port = served
    watch = Watch(port, seconds=0.3)
    watch.hear()
    assert watch.ended().code is grpc.StatusCode.DEADLINE_EXCEEDED
    wait_until(lambda: watchers_of(server) == 0, 10, "the place to be free")
    watch.close()


@SQLITE
def test_no_token_is_asked_for_or_looked_at(port: int, channel: grpc.Channel) -> None:
    metadata = (("authorization", "Bearer rubbish"),)
    stub = rpc.TrustServiceStub(channel)
    assert stub.GetSigningKeys(api.GetSigningKeysRequest(), metadata=metadata).key_set.keys
    call: Any = stub.WatchRevocations(api.WatchRevocationsRequest(), metadata=metadata, timeout=10)
    assert next(call).part == END
    call.cancel()


@SQLITE
def test_streams_of_this_server_cannot_be_renewed_because_nobody_owns_one(
    stub: auth_rpc.AuthServiceStub, channel: grpc.Channel
) -> None:
    register(stub, "ada")
    renew = stream_rpc.StreamServiceStub(channel).RenewStream
    request = stream_api.RenewStreamRequest(stream_id="s" * 22)
    nobody = refusal(renew, request)
    assert (nobody.code, nobody.reason) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_MISSING")
    metadata = (("authorization", f"Bearer {login(stub, 'ada').access_token}"),)
    ada = refusal(renew, request, metadata=metadata)
    assert (ada.code, ada.reason) == (grpc.StatusCode.NOT_FOUND, "STREAM_UNKNOWN")


@SQLITE
def test_v3_bytes_that_are_no_renewal_are_refused_as_such(channel: grpc.Channel) -> None:
    answer = refusal(channel.unary_unary("/authapi.v1.StreamService/RenewStream"), b"\xff\xff\xff", timeout=10)
    assert (answer.code, answer.reason) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_MISSING")


@SQLITE
def test_o1_the_places_of_watchers_are_not_given_to_calls(
    service: bootstrap.Service, stub: auth_rpc.AuthServiceStub
) -> None:
    register(stub, "ada")
    token = login(stub, "ada").access_token
    go_on = threading.Event()

    def slow(*arguments: Any) -> Any:
        go_on.wait(20)
        return service.auth.verify(*arguments)

    slowed = with_auth(service, verify=slow)
    server, port = serve_in_process(slowed, max_calls=8, max_watchers=64)
    with grpc.insecure_channel(f"127.0.0.1:{port}") as plain, ThreadPoolExecutor(40) as threads:
        other = auth_rpc.AuthServiceStub(ObservedChannel.around(plain))
        calls = [threads.submit(verify, other, token) for _ in range(40)]
        try:
            wait_until(lambda: sum(call.done() for call in calls) >= 40 - 8, 2, "refusals of what is too much")
        finally:
            go_on.set()
            server.stop(0)
