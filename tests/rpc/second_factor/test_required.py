"""M7: where a company asks for a second factor, nobody who has to have one gets a session with one factor."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import grpc
import pytest
from authapi.v1 import second_factor_pb2 as factor_api

from authservice import bootstrap
from authservice.config import Settings
from authservice.domain.deadline import Deadline
from tests.conftest import CHEAPEST, SettableClock, serve_in_process
from tests.observed import ObservedChannel, refresh, refusal, register
from tests.rpc.second_factor.people import Person

ENROLL = [factor_api.CHALLENGE_METHOD_ENROLL_TOTP]

Serve = Callable[[str], tuple[grpc.Channel, bootstrap.Service]]


@pytest.fixture
def serve(settings: Settings, clock: SettableClock) -> Iterator[Serve]:
    """Return what serves the database with another policy."""
    with ExitStack() as stack:

        def start(policy: str) -> tuple[grpc.Channel, bootstrap.Service]:
            changed = settings.model_copy(update={"require_second_factor": policy})
            service = bootstrap.assemble(changed, cores=2, clock=clock, hash_cost=CHEAPEST)
            stack.callback(service.close)
            served, port = serve_in_process(service)
            stack.callback(served.stop, 0)
            plain = stack.enter_context(grpc.insecure_channel(f"127.0.0.1:{port}"))
            return ObservedChannel.around(plain), service

        yield start


def somebody(channel: grpc.Channel, clock: SettableClock, name: str = "ada") -> Person:
    person = Person(channel, clock, name)
    register(person.stub, name)
    return person


def test_m7_everybody_sets_an_app_up_before_their_first_session(serve: Serve, clock: SettableClock) -> None:
    channel, _ = serve("everybody")
    ada = somebody(channel, clock)
    challenge = ada.challenge()
    assert list(challenge.methods) == ENROLL
    ada.enroll(challenge.enrollment)
    answer = ada.complete(challenge, ada.code())
    assert len(set(answer.recovery_codes)) == 10
    assert ada.is_proved_by() == ["pwd", "otp", "mfa"]
    following = ada.challenge()
    assert factor_api.CHALLENGE_METHOD_TOTP in following.methods
    assert not following.HasField("enrollment")
    assert refusal(ada.complete, following, ada.code()).reason == "CODE_INVALID", "setting up has used it"
    assert not ada.complete(following, ada.next_code()).recovery_codes
    ada.complete(ada.challenge(), ada.recovery_codes[0])
    assert ada.is_proved_by() == ["pwd", "mfa"]


def test_m7_a_wrong_code_sets_nothing_up_and_five_void_the_challenge(serve: Serve, clock: SettableClock) -> None:
    channel, _ = serve("everybody")
    ada = somebody(channel, clock)
    challenge = ada.challenge()
    ada.enroll(challenge.enrollment)
    assert [refusal(ada.complete, challenge, "000000").reason for _ in range(5)] == ["CODE_INVALID"] * 5
    assert refusal(ada.complete, challenge, ada.code()).reason == "CHALLENGE_OVER"
    assert list(ada.challenge().methods) == ENROLL


def test_m7_each_login_shows_another_secret_and_voids_the_one_before(serve: Serve, clock: SettableClock) -> None:
    channel, _ = serve("everybody")
    ada = somebody(channel, clock)
    first, second = ada.challenge(), ada.challenge()
    ada.enroll(first.enrollment)
    assert refusal(ada.complete, first, ada.code()).reason == "CODE_INVALID"
    ada.enroll(second.enrollment)
    assert ada.complete(second, ada.code()).recovery_codes
    assert refusal(ada.complete, first, ada.next_code()).reason == "CHALLENGE_OVER", "the factor has changed since"


def test_m7_holders_of_a_role_are_asked_and_others_are_not(serve: Serve, clock: SettableClock) -> None:
    channel, service = serve("roles:clerk,boss")
    ada, eve = somebody(channel, clock), somebody(channel, clock, "eve")
    service.admin.operate_users.grant("ada", "clerk", Deadline.after(10))
    service.admin.operate_users.grant("eve", "other", Deadline.after(10))
    assert list(ada.challenge().methods) == ENROLL
    assert eve.ask().HasField("tokens")


def test_m7_a_session_from_before_the_setting_goes_on_as_what_it_was(serve: Serve, clock: SettableClock) -> None:
    open_to_all, _ = serve("off")
    ada = somebody(open_to_all, clock)
    ada.tokens = ada.ask().tokens
    channel, _ = serve("everybody")
    ada.channel = channel
    ada.tokens = refresh(ada.stub, ada.tokens.refresh_token)
    assert ada.is_proved_by() == ["pwd"]
    assert list(ada.challenge().methods) == ENROLL
