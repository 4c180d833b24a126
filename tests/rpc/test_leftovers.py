"""A call that is over is forgotten at once.

What hangs in a ring waits for the collector, which looks after some 50,000 objects: by then a thousand refused calls
had kept their connections, and the worker had grown by a third.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from authapi.v1 import auth_service_pb2_grpc as rpc
from authapi.v1 import trust_service_pb2 as trust_api
from authapi.v1 import trust_service_pb2_grpc as trust_rpc

from authservice.domain.errors import StorageUnavailable
from tests.leftovers import leftover_calls
from tests.observed import PASSWORD, login, logout, refresh, refusal, register, verify
from tests.rpc.account.calling import Account

ROUNDS = 5
NO_TOKEN = "no.such.token"


@dataclass
class Caller:
    """Somebody with a token that was logged out."""

    channel: grpc.Channel
    stub: rpc.AuthServiceStub
    access_token: str
    refresh_token: str

    def sends(self, path: str, message: bytes, **metadata: str) -> Any:
        """Call a method with these bytes."""
        call: Any = self.channel.unary_unary(path)
        return call(message, metadata=tuple(metadata.items()), timeout=30)

    def watches(self, **fields: Any) -> Any:
        """Return the first answer of a watch."""
        watch = trust_rpc.TrustServiceStub(self.channel).WatchRevocations(trust_api.WatchRevocationsRequest(**fields))
        first = next(watch)
        watch.cancel()
        return first


@pytest.fixture
def caller(channel: grpc.Channel, stub: rpc.AuthServiceStub) -> Caller:
    register(stub, "ada")
    tokens = login(stub, "ada")
    logout(stub, tokens.access_token)
    return Caller(channel, stub, tokens.access_token, tokens.refresh_token)


REFUSED: dict[str, Callable[[Caller], Any]] = {
    "Verify of no token": lambda caller: verify(caller.stub, NO_TOKEN),
    "Verify of nothing": lambda caller: verify(caller.stub, ""),
    "Verify of another signature": lambda caller: verify(caller.stub, caller.access_token[:-8] + "AAAAAAAA"),
    "Verify after the logout": lambda caller: verify(caller.stub, caller.access_token),
    "Verify of no message": lambda caller: caller.sends("/authapi.v1.AuthService/Verify", b"\xff"),
    "Refresh of no token": lambda caller: refresh(caller.stub, NO_TOKEN),
    "Refresh after the logout": lambda caller: refresh(caller.stub, caller.refresh_token),
    "Refresh of no message": lambda caller: caller.sends("/authapi.v1.AuthService/Refresh", b"\xff"),
    "Logout of no token": lambda caller: logout(caller.stub, NO_TOKEN),
    "Logout of two things": lambda caller: logout(caller.stub, NO_TOKEN, session_id="1", scope=2),
    "Logout of no message": lambda caller: caller.sends("/authapi.v1.AuthService/Logout", b"\xff"),
    "Login with another password": lambda caller: login(caller.stub, "ada", PASSWORD + "!"),
    "Register of a name that is taken": lambda caller: register(caller.stub, "ada"),
    "Register of no name": lambda caller: register(caller.stub, ""),
    "ListSessions with no token": lambda caller: Account(caller.channel, NO_TOKEN).call("ListSessions"),
    "ListSessions after the logout": lambda caller: Account(caller.channel, caller.access_token).call("ListSessions"),
    "a watch from nowhere": lambda caller: caller.watches(resume_point=trust_api.ResumePoint(history="x", seq=7)),
    "too much metadata": lambda caller: caller.sends("/authapi.v1.AuthService/Verify", b"", much="x" * 9000),
    "no such method": lambda caller: caller.sends("/authapi.v1.AuthService/Guess", b""),
}


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize("kind", REFUSED)
def test_o7_a_refused_call_leaves_nothing_to_the_collector(kind: str, caller: Caller) -> None:
    refusal(REFUSED[kind], caller)  # The first one may leave something that stays.
    with leftover_calls() as found:
        for _ in range(ROUNDS):
            refusal(REFUSED[kind], caller)
    assert found == []


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_o7_an_answered_call_leaves_nothing_to_the_collector(caller: Caller) -> None:
    def live() -> None:
        tokens = refresh(caller.stub, login(caller.stub, "ada").refresh_token)
        verify(caller.stub, tokens.access_token)
        Account(caller.channel, tokens.access_token).call("ListSessions")
        caller.watches()
        logout(caller.stub, tokens.access_token)

    live()
    with leftover_calls() as found:
        for _ in range(ROUNDS):
            live()
    assert found == []


def test_a_condition_that_is_kept_as_a_value_keeps_its_causes_and_no_frames() -> None:
    def fail() -> None:
        try:
            raise OSError("the disk is full")
        except OSError as error:
            raise StorageUnavailable from error

    with pytest.raises(StorageUnavailable) as met:
        fail()
    kept = met.value
    kept.forget_frames()
    assert isinstance(kept.__cause__, OSError)
    assert kept.__traceback__ is None
    assert kept.__cause__.__traceback__ is None
