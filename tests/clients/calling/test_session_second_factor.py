"""A session whose user has a second factor, with threads and with asyncio, and the real authentication service."""

import asyncio
from collections.abc import Iterator

import grpc
import pytest
from authapi.v1 import auth_service_pb2 as api
from authapi.v1 import second_factor_pb2 as factor_api
from authclient import SecondFactorNeeded, Session, aio, reason_of
from authclient._calling.held_tokens import HeldTokens, Holding

from authservice import bootstrap
from authservice.config import Settings
from authservice.domain.deadline import Deadline
from tests.clients.calling.calls import refused
from tests.conftest import SettableClock
from tests.observed import PASSWORD, register, verify
from tests.rpc.second_factor.people import Person, a_person

pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
ROLE = "clerk"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"require_second_factor": f"roles:{ROLE}"})


@pytest.fixture
def ada(channel: grpc.Channel, clock: SettableClock) -> Person:
    return a_person(channel, clock).set_up()


@pytest.fixture
def session(port: int) -> Iterator[Session]:
    with Session(f"127.0.0.1:{port}") as made:
        yield made


def methods(person: Person, token: str) -> list[str]:
    return list(verify(person.stub, token).auth_methods)


def test_a_login_asks_whoever_knows_the_code(ada: Person, session: Session) -> None:
    asked: list[factor_api.Challenge] = []

    def code(challenge: factor_api.Challenge) -> str:
        asked.append(challenge)
        return ada.code()

    session.login("ada", PASSWORD, second_factor=code)
    assert methods(ada, session.access_token()) == ["pwd", "otp", "mfa"]
    assert [factor_api.CHALLENGE_METHOD_TOTP in each.methods for each in asked] == [True]


def test_a_login_that_cannot_answer_says_what_is_asked_for(ada: Person, session: Session) -> None:
    with pytest.raises(SecondFactorNeeded, match=r"TOTP, RECOVERY_CODE.*complete_login") as needed:
        session.login("ada", PASSWORD)
    challenge = needed.value.challenge
    assert challenge.challenge_token not in str(needed.value) + repr(needed.value)
    wrong = refused(lambda: session.complete_login(challenge, "000000"))
    assert reason_of(wrong.trailing_metadata()) == "CODE_INVALID"
    assert session.complete_login(challenge, ada.recovery_codes[0]) == ()
    assert methods(ada, session.access_token()) == ["pwd", "mfa"]


def test_who_has_to_set_an_app_up_is_told_and_gets_recovery_codes(
    ada: Person, session: Session, service: bootstrap.Service
) -> None:
    register(ada.stub, "eva")
    service.admin.operate_users.grant("eva", ROLE, Deadline.after(10))
    with pytest.raises(SecondFactorNeeded) as needed:
        session.login("eva", PASSWORD, second_factor=lambda _: pytest.fail("there is no app yet"))
    ada.enroll(needed.value.challenge.enrollment)
    assert len(session.complete_login(needed.value.challenge, ada.code())) == 10
    assert session.access_token()


def test_a_session_is_stepped_up_and_goes_on_with_its_refresh_token(ada: Person, session: Session) -> None:
    session.login("ada", PASSWORD, second_factor=lambda _: ada.recovery_codes[0])
    before = session.access_token()
    session.step_up(code=ada.code())
    stepped = session.access_token()
    assert (methods(ada, before), methods(ada, stepped)) == (["pwd", "mfa"], ["pwd", "otp", "mfa"])
    assert session.replace(before) == stepped, "a call that was refused with the old one"
    assert methods(ada, session.replace(stepped)) == ["pwd", "otp", "mfa"]
    wrong = refused(lambda: session.step_up(code="000000"))
    assert reason_of(wrong.trailing_metadata()) == "CODE_INVALID"
    for proofs in ({}, {"password": PASSWORD, "code": "000000"}):
        with pytest.raises(ValueError, match="one of the two"):
            session.step_up(**proofs)
    weak = refused(lambda: session.step_up(password=PASSWORD))
    assert reason_of(weak.trailing_metadata()) == "MFA_REQUIRED"


def test_a_step_up_whose_token_is_outdated_is_sent_with_another_and_its_code_is_still_good(
    ada: Person, session: Session, service: bootstrap.Service
) -> None:
    session.login("ada", PASSWORD, second_factor=lambda _: ada.recovery_codes[0])
    service.admin.operate_users.grant("ada", "other", Deadline.after(10))
    session.step_up(code=ada.recovery_codes[1])
    assert list(verify(ada.stub, session.access_token()).roles) == ["other"]


def test_asyncio_does_the_same(ada: Person, port: int) -> None:
    async def code(_: factor_api.Challenge) -> str:
        return ada.code()

    async def live() -> None:
        async with aio.Session(f"127.0.0.1:{port}") as session:
            with pytest.raises(SecondFactorNeeded) as needed:
                await session.login("ada", PASSWORD)
            await session.complete_login(needed.value.challenge, ada.recovery_codes[0])
            await session.login("ada", PASSWORD, second_factor=code)
            assert methods(ada, await session.access_token()) == ["pwd", "otp", "mfa"]
            await session.step_up(code=ada.recovery_codes[1])
            assert await session.logout(api.LOGOUT_SCOPE_ALL) == 3

    asyncio.run(live())


def held(access_token: str, refresh_token: str) -> HeldTokens:
    return HeldTokens(access_token, refresh_token, "session", 1.0, 2.0)


def test_a_refresh_that_was_under_way_brings_its_refresh_token_and_leaves_the_stepped_up_access_token(
    backend: str,
) -> None:
    holding, seen = Holding(), held("access-1", "refresh-1")
    holding.put(seen)
    holding.step_up(held("stepped", "refresh-1"))
    holding.settle(seen, held("access-2", "refresh-2"))
    found = holding.require()
    assert (found.access_token, found.refresh_token) == ("stepped", "refresh-2")


def test_a_step_up_of_a_session_that_is_held_no_more_changes_nothing(backend: str) -> None:
    holding, other = Holding(), HeldTokens("access", "refresh", "another session", 1.0, 2.0)
    holding.put(other)
    holding.step_up(held("stepped", "refresh-1"))
    assert holding.require() == other
