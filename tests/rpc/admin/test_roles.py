"""Roles: granted and taken by operators, carried by tokens, and known to Verify at once."""

from collections.abc import Callable

import pytest
from authapi.v1 import auth_service_pb2_grpc as rpc

from authservice import bootstrap
from authservice.domain.deadline import Deadline
from authservice.domain.errors import FieldRejected
from authservice.usecases.admin.operate_users import MAX_ROLES_BYTES, NoSuchUser, OperateUsers
from tests.conftest import RecordedAudit
from tests.observed import login, logout, refresh, refusal, register, verify

WIDEST = [letter + "x" * 63 for letter in "abc"]
"""Three of these take 3 * (64 + 3) of the 256 bytes."""


def soon() -> Deadline:
    return Deadline.after(60)


@pytest.fixture
def operate(service: bootstrap.Service) -> OperateUsers:
    return service.admin.operate_users


def test_a_grant_outdates_the_token_and_the_next_refresh_carries_the_role(
    stub: rpc.AuthServiceStub, operate: OperateUsers
) -> None:
    register(stub, "ada")
    register(stub, "bob")
    first, other, stranger = login(stub, "ada"), login(stub, "ada"), login(stub, "bob")
    assert operate.grant("ADA", "support", soon())
    for outdated in (first, other):
        assert refusal(verify, stub, outdated.access_token).reason == "TOKEN_OUTDATED"
    assert list(verify(stub, stranger.access_token).roles) == []
    second = refresh(stub, first.refresh_token)
    assert list(verify(stub, second.access_token).roles) == ["support"]
    assert list(verify(stub, login(stub, "ada").access_token).roles) == ["support"]
    assert refusal(verify, stub, other.access_token).reason == "TOKEN_OUTDATED"


def test_s7_a_taken_role_is_dead_at_acknowledgement_and_gone_after_the_refresh(
    stub: rpc.AuthServiceStub, operate: OperateUsers
) -> None:
    register(stub, "ada")
    operate.grant("ada", "support", soon())
    operate.grant("ada", "auditor", soon())
    tokens = login(stub, "ada")
    assert list(verify(stub, tokens.access_token).roles) == ["auditor", "support"]
    assert operate.take("ada", "support", soon())
    assert refusal(verify, stub, tokens.access_token).reason == "TOKEN_OUTDATED"
    assert list(verify(stub, refresh(stub, tokens.refresh_token).access_token).roles) == ["auditor"]


def test_what_was_granted_or_taken_before_changes_nothing(
    stub: rpc.AuthServiceStub, operate: OperateUsers, audit: RecordedAudit
) -> None:
    register(stub, "ada")
    assert [operate.grant("ada", "support", soon()) for _ in range(2)] == [True, False]
    token = login(stub, "ada").access_token
    assert not operate.grant("ada", "support", soon())
    assert not operate.take("ada", "auditor", soon())
    assert verify(stub, token)
    assert [operate.take("ada", "support", soon()) for _ in range(2)] == [True, False]
    changes = [(event, facts["role"]) for event, facts in audit.events if event.startswith("role_")]
    assert changes == [("role_granted", "support"), ("role_taken", "support")]


def test_an_outdated_token_still_logs_out(stub: rpc.AuthServiceStub, operate: OperateUsers) -> None:
    register(stub, "ada")
    tokens = login(stub, "ada")
    operate.grant("ada", "support", soon())
    assert logout(stub, tokens.access_token) == 1
    assert refusal(verify, stub, tokens.access_token).reason == "SESSION_ENDED", "which weighs more than outdated"
    assert refusal(refresh, stub, tokens.refresh_token).reason == "SESSION_ENDED"


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_an_unknown_user_is_refused(stub: rpc.AuthServiceStub, operate: OperateUsers, audit: RecordedAudit) -> None:
    for change in (operate.grant, operate.take):
        with pytest.raises(NoSuchUser):
            change("nobody", "support", soon())
    assert not [event for event, _ in audit.events if event.startswith("role_")]


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "role", ["", "Support", "süpport", "9lives", "-x", ".x", "a b", "a\n", "a,b", "x" * 65, "a\0", "ａ"]
)
def test_what_is_no_role_name_is_refused_everywhere(
    stub: rpc.AuthServiceStub, operate: OperateUsers, role: str
) -> None:
    register(stub, "ada")
    changes: list[Callable[..., bool]] = [operate.grant, operate.take]
    for change in changes:
        with pytest.raises(FieldRejected, match="1 to 64 characters"):
            change("ada", role, soon())
    assert operate.page("", 10, soon())[0].roles == ()


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_roles_beyond_the_budget_of_a_token_are_refused_with_what_to_do(
    stub: rpc.AuthServiceStub, operate: OperateUsers
) -> None:
    register(stub, "ada")
    left = MAX_ROLES_BYTES - sum(len(role) + 3 for role in WIDEST)
    for role in (*WIDEST, "d" * (left - 3)):
        assert operate.grant("ada", role, soon()), "exactly as much as fits"
    with pytest.raises(FieldRejected, match="Take another role away first"):
        operate.grant("ada", "e", soon())
    assert not operate.grant("ada", WIDEST[0], soon()), "what the user has already is no more"
    assert len(verify(stub, login(stub, "ada").access_token).roles) == 4
    assert operate.take("ada", WIDEST[0], soon())
    assert operate.grant("ada", "e", soon())
