"""C10: who asks for a mail cannot tell from the time of the answer whether there is an account."""

import itertools
import math
import os
from collections.abc import Callable

import pytest

from authservice import bootstrap
from authservice.config import Settings
from authservice.domain.deadline import Deadline
from tests.observed import register
from tests.rpc.account.calling import Account
from tests.rpc.account.mailbox import Mailbox
from tests.rpc.auth.test_timing import Stub, area, times

SAMPLES = int(os.environ.get("AUTHSERVICE_TEST_MAIL_TIMING_SAMPLES", "150"))
BOUND = max(0.05, 4 * math.sqrt(1 / (6 * SAMPLES)))


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Return settings that let one network ask as often as the test does."""
    return settings.model_copy(update={"mail_requests_per_hour": 1_000_000})


@pytest.mark.parametrize("method", ["RequestPasswordReset", "RequestEmailVerification"])
def test_c10_asking_for_a_mail_takes_as_long_whether_or_not_there_is_an_account(
    backend: str, anyone: Account, stub: Stub, service: bootstrap.Service, mailbox: Mailbox, method: str
) -> None:
    register(stub, "ada", email="ada@example.com")
    register(stub, "off", email="off@example.com")
    register(stub, "plain")
    service.admin.operate_users.disable("off", Deadline.after(10))
    assert mailbox.new() == []

    def asking(name: str) -> Callable[[], object]:
        return lambda: anyone.call(method, user_name_or_email=name)

    kinds = {"there": "ada", "by e-mail": "ada@example.com", "nobody": "eve", "disabled": "off", "no address": "plain"}
    taken = times({kind: asking(name) for kind, name in kinds.items()}, SAMPLES)
    areas = {pair: area(taken[pair[0]], taken[pair[1]]) for pair in itertools.combinations(taken, 2)}
    shown = ", ".join(f"{first} / {second} {value:.3f}" for (first, second), value in areas.items())
    print(f"C10 {backend} {method}, {SAMPLES} samples: {shown}")
    assert {pair: value for pair, value in areas.items() if abs(value - 0.5) > BOUND} == {}
