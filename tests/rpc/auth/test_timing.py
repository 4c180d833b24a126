"""C10: the time of an answer does not tell which accounts exist.

The measure is the area under the ROC curve: how often an answer about one kind of account took longer than one about
another. 0.5 is a coin. With n samples of each it wanders by about sqrt(1 / 6n), so the more samples, the closer the
bound.
"""

import itertools
import math
import os
import time
from collections.abc import Callable, Iterator

import grpc
import pytest
from authapi.v1 import auth_service_pb2_grpc as rpc

from authservice import bootstrap
from authservice.config import Settings
from authservice.domain.deadline import Deadline
from tests.conftest import CHEAPEST, SettableClock, serve_in_process
from tests.observed import OTHER_PASSWORD, Refusal, login, refusal, register

SAMPLES = int(os.environ.get("AUTHSERVICE_TEST_TIMING_SAMPLES", "60"))
COST = 8
"""bcrypt's cost here: 17 ms, so that hashing outweighs all else as it does at the real cost."""
BOUND = max(0.05, 4 * math.sqrt(1 / (6 * SAMPLES)))

Stub = rpc.AuthServiceStub


@pytest.fixture
def slow_stub(settings: Settings) -> Iterator[tuple[Stub, bootstrap.Service]]:
    unlimited = settings.model_copy(update={"registrations_per_hour": 0})
    service = bootstrap.assemble(unlimited, cores=2, hash_cost=COST)
    server, port = serve_in_process(service)
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield rpc.AuthServiceStub(channel), service
    server.stop(0)
    service.close()


def area(first: list[float], second: list[float]) -> float:
    """Return how often an element of the first is larger than one of the second."""
    wins = sum((a > b) + (a == b) / 2 for a, b in itertools.product(first, second))
    return wins / (len(first) * len(second))


def times(calls: dict[str, Callable[[], object]], samples: int = SAMPLES) -> dict[str, list[float]]:
    """Make each call that many times, in turn, so that the machine's moods meet all alike."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for name, call in [(name, call) for _ in range(samples + 5) for name, call in calls.items()]:
        begin = time.perf_counter()
        call()
        taken[name].append(time.perf_counter() - begin)
    return {name: values[5:] for name, values in taken.items()}


def test_c10_login_takes_as_long_for_wrong_passwords_as_for_users_that_are_not(
    slow_stub: tuple[Stub, bootstrap.Service], backend: str
) -> None:
    stub, service = slow_stub
    register(stub, "ada", email="ada@example.com")
    register(stub, "bob")
    service.admin.operate_users.disable("bob", Deadline.after(5))
    taken = times(
        {
            "wrong password": lambda: refusal(login, stub, "ada", OTHER_PASSWORD),
            "wrong password, by e-mail": lambda: refusal(login, stub, "ada@example.com", OTHER_PASSWORD),
            "nobody": lambda: refusal(login, stub, "eve", OTHER_PASSWORD),
            "nobody, by e-mail": lambda: refusal(login, stub, "eve@example.com", OTHER_PASSWORD),
            "disabled": lambda: refusal(login, stub, "bob", OTHER_PASSWORD),
        }
    )
    require_alike(f"Login on {backend}", taken)


@pytest.fixture
def guarded_stub(settings: Settings) -> Iterator[tuple[Stub, bootstrap.Service]]:
    """Yield a server whose clock stands still, so that no pause comes to an end."""
    service = bootstrap.assemble(settings, cores=2, clock=SettableClock(), hash_cost=CHEAPEST)
    server, port = serve_in_process(service)
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield rpc.AuthServiceStub(channel), service
    server.stop(0)
    service.close()


def test_c10_an_account_that_is_held_up_answers_as_fast_as_a_name_that_nobody_has(
    guarded_stub: tuple[Stub, bootstrap.Service], backend: str
) -> None:
    stub, service = guarded_stub
    register(stub, "ada", email="ada@example.com")
    register(stub, "bob")
    service.admin.operate_users.disable("bob", Deadline.after(5))
    numbers = itertools.count()

    def guess(name: str) -> Refusal:
        return refusal(login, stub, name, f"a wrong guess of many words, number {next(numbers)}")

    names = {"there": "ada", "by e-mail": "ada@example.com", "nobody": "eve", "disabled": "bob"}
    for name in names.values():
        while guess(name).reason != "THROTTLED":
            pass
    taken = times({kind: lambda name=name: guess(name) for kind, name in names.items()})  # type: ignore[misc]
    require_alike(f"Login, held up, on {backend}", taken)


def require_alike(what: str, taken: dict[str, list[float]]) -> None:
    """Print how well the times tell kinds of accounts apart, and fail if they do."""
    areas = {pair: area(taken[pair[0]], taken[pair[1]]) for pair in itertools.combinations(taken, 2)}
    shown = ", ".join(f"{first} / {second} {value:.3f}" for (first, second), value in areas.items())
    print(f"C10 {what}, {SAMPLES} samples: {shown}")
    assert {pair: value for pair, value in areas.items() if abs(value - 0.5) > BOUND} == {}


def test_c10_register_takes_as_long_with_a_taken_address_as_with_a_free_one(
    slow_stub: tuple[Stub, bootstrap.Service], backend: str
) -> None:
    stub, _ = slow_stub
    register(stub, "ada", email="ada@example.com")
    numbers = itertools.count(1000)
    taken = times(
        {
            "taken": lambda: register(stub, f"user{next(numbers)}", email="ada@example.com"),
            "free": lambda: register(stub, f"user{next(numbers)}", email=f"u{next(numbers)}@example.com"),
        }
    )
    require_alike(f"Register on {backend}", taken)


def test_c10_the_measure_sees_a_difference_that_is_there() -> None:
    fast = [0.010 + number / 100_000 for number in range(SAMPLES)]
    slow = [value + 0.001 for value in fast]
    assert abs(area(slow, fast) - 0.5) > BOUND
