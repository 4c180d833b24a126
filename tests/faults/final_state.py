"""What has to hold when the faults are over: every done write is there, every unknown one wholly or not at all."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from authapi.v1 import auth_service_pb2_grpc as rpc

from tests.faults.load import History, idempotency_key
from tests.faults.seeding import Seeder
from tests.observed import login, logout, refresh, refusal, register, verify

T = TypeVar("T")
Stub = rpc.AuthServiceStub

SAMPLE = 3
"""How many users log in with their password, at the price of a hash."""


def require_final_state(stub: Stub, history: History, seeds: Seeder) -> None:
    """Hold the database against the history, through the server's own answers."""
    _registered_users_are_there(stub, history)
    _unanswered_registrations_are_done_or_not(stub, history)
    _opened_sessions_are_alive(stub, history)
    _ended_sessions_are_refused(stub, history)
    _chains_were_refreshed_once_a_step(stub, history, seeds)


def _registered_users_are_there(stub: Stub, history: History) -> None:
    def again(name: str) -> str:
        return register(stub, name, idempotency_key=idempotency_key(name)).user_id

    # The same idempotency key asks for the same account, without a hash. Logging in costs one, so a sample does.
    for name, user_id in zip(history.registered, _each(again, history.registered), strict=True):
        assert user_id == history.registered[name], f"{name} was acknowledged and is lost"
    for name in list(history.registered)[-SAMPLE:]:
        assert verify(stub, login(stub, name).access_token).user_id == history.registered[name]


def _unanswered_registrations_are_done_or_not(stub: Stub, history: History) -> None:
    for name in history.registrations_unknown[-SAMPLE:]:
        user = register(stub, name, idempotency_key=idempotency_key(name))
        assert verify(stub, login(stub, name).access_token).user_id == user.user_id


def _ended_sessions_are_refused(stub: Stub, history: History) -> None:
    for tokens in history.logouts_unknown:
        logout(stub, tokens.access_token)
    dead = [tokens.access_token for tokens in history.ended + history.logouts_unknown]
    reasons = _each(lambda token: refusal(verify, stub, token).reason, dead)
    assert set(reasons) == {"SESSION_ENDED"}


def _opened_sessions_are_alive(stub: Stub, history: History) -> None:
    alive = _each(lambda token: verify(stub, token).session_id, history.opened)
    assert len(set(alive)) == len(history.opened)


def _chains_were_refreshed_once_a_step(stub: Stub, history: History, seeds: Seeder) -> None:
    for chain in history.chains:
        assert seeds.generation(chain.session_id) == chain.steps, "a refresh was lost, or spent a token twice"
        assert refresh(stub, chain.token).session_id == str(chain.session_id)


def _each(call: Callable[[str], T], texts: Iterable[str]) -> list[T]:
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(call, texts))
