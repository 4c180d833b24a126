"""Users are told of logins from networks that are new to them, where the setting asks for it."""

from collections.abc import Iterator

import grpc
import pytest
from authapi.v1 import auth_service_pb2 as api
from authapi.v1 import auth_service_pb2_grpc as rpc

from authservice import bootstrap
from authservice.config import Settings
from authservice.domain.deadline import Deadline
from tests.conftest import CHEAPEST, SettableClock, serve_in_process
from tests.faults.seeding import Seeder
from tests.observed import PASSWORD, register
from tests.rpc.account.mailbox import Mailbox, text_of

HOME, CAFE = "192.0.2.1", "198.51.100.7"


@pytest.fixture
def asked_for() -> str:
    return "on"


@pytest.fixture
def place(settings: Settings, clock: SettableClock, asked_for: str) -> Iterator[tuple[rpc.AuthServiceStub, Mailbox]]:
    """Yield a service behind a proxy that says where calls come from, and everybody's mail."""
    ours = settings.model_copy(update={"trusted_proxies": "127.0.0.0/8", "mail_new_sign_ins": asked_for})
    service = bootstrap.assemble(ours, clock=clock, hash_cost=CHEAPEST)
    server, port = serve_in_process(service)
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = rpc.AuthServiceStub(channel)
        register(stub, "ada", email="ada@example.com")
        yield stub, Mailbox(service)
    server.stop(0)
    service.close()


def log_in(stub: rpc.AuthServiceStub, network: str, password: str = PASSWORD, label: str = "") -> api.LoginResponse:
    request = api.LoginRequest(user_name_or_email="ada", password=password, client_label=label)
    return stub.Login(request, metadata=(("x-forwarded-for", network),))


def test_the_first_network_and_known_ones_are_nothing_to_tell_and_a_new_one_is(
    place: tuple[rpc.AuthServiceStub, Mailbox], clock: SettableClock
) -> None:
    stub, mailbox = place
    for _ in range(2):
        log_in(stub, HOME)
    assert mailbox.new() == []
    log_in(stub, CAFE, label="Firefox <b>")
    (mail,) = mailbox.new()
    assert mail["To"] == "ada@example.com"
    assert CAFE in text_of(mail)
    assert "Firefox <b>" in text_of(mail)
    log_in(stub, CAFE)
    assert mailbox.new() == [], "it is known from now on"
    clock.advance(days=91)
    log_in(stub, CAFE)
    assert mailbox.new() == [], "nothing is known any more, so nothing is new"


def test_what_does_not_get_in_is_not_told(place: tuple[rpc.AuthServiceStub, Mailbox]) -> None:
    stub, mailbox = place
    log_in(stub, HOME)
    with pytest.raises(grpc.RpcError):
        log_in(stub, CAFE, "wrong horse battery staple")
    assert mailbox.new() == []


def test_a_login_with_a_second_factor_is_told_when_it_is_complete(
    place: tuple[rpc.AuthServiceStub, Mailbox], clock: SettableClock
) -> None:
    stub, mailbox = place
    log_in(stub, HOME)
    service = mailbox.service
    user = service.parts.database.read(lambda tx: tx.users.by_name("ada"), Deadline.after(10))
    assert user
    _, codes = Seeder(service).app(user)
    mailbox.new()
    challenge = log_in(stub, CAFE).challenge
    assert mailbox.new() == []
    stub.CompleteLogin(api.CompleteLoginRequest(challenge_token=challenge.challenge_token, code=codes[0]))
    assert [CAFE in text_of(mail) for mail in mailbox.new()] == [True]


@pytest.mark.parametrize("asked_for", ["off"])
def test_nobody_is_told_unless_it_is_asked_for(place: tuple[rpc.AuthServiceStub, Mailbox]) -> None:
    stub, mailbox = place
    for network in (HOME, CAFE):
        log_in(stub, network)
    assert mailbox.new() == []
