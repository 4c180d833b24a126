"""Revocation is one thing with many callers: whatever ends sessions ends them for everybody, on each database.

Each reason in SessionEnd has a row here; a new one without a row fails.
"""

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from uuid import UUID

import grpc
import pytest
from authapi.v1 import auth_service_pb2 as api
from authapi.v1 import auth_service_pb2_grpc as rpc

from authservice import bootstrap
from authservice.config import Settings
from authservice.domain.deadline import Deadline
from authservice.domain.session import SessionEnd
from authservice.ports import last_counts
from tests.clients.eventually import eventually
from tests.clients.guarded import path
from tests.conftest import CHEAPEST, SettableClock, serve_in_process
from tests.contract import ROOT
from tests.faults.seeding import Seeder
from tests.observed import OTHER_PASSWORD, PASSWORD, Refusal, login, logout, refresh, refusal, register, verify
from tests.rpc.account.calling import Account, bearer
from tests.rpc.account.mailbox import Mailbox

MOST = 4
"""How many sessions a user has at most, so that a login ends one."""
ENDED = "SESSION_ENDED"


@dataclass
class Outcome:
    """What a path has done: these sessions have ended, and those live."""

    ended: list[api.SessionTokens]
    live: list[api.SessionTokens] = field(default_factory=list)


@dataclass
class World:
    """The service, a guarded service in another process, and who calls them."""

    service: bootstrap.Service
    channel: grpc.Channel
    guarded: grpc.Channel
    clock: SettableClock
    _numbers: "count[int]" = field(default_factory=count)

    @property
    def auth(self) -> rpc.AuthServiceStub:
        """The service as anyone calls it."""
        return rpc.AuthServiceStub(self.channel)

    def user(self, sessions: int) -> tuple[str, list[api.SessionTokens]]:
        """Return the name of a new user, and the tokens of sessions that both services have accepted."""
        name = f"user{next(self._numbers)}"
        register(self.auth, name, email=f"{name}@example.com")
        opened = [login(self.auth, name) for _ in range(sessions)]
        # A guard goes by the time that it heard of last, and the clock has just been moved.
        eventually(
            lambda: [self.verdicts(each.access_token) for each in opened] == [("", "")] * sessions, "them to be let in"
        )
        return name, opened

    def verdicts(self, access_token: str) -> tuple[str, str]:
        """Return why Verify and the guarded service refuse a token: empty texts where they do not."""
        return _reason(lambda: verify(self.auth, access_token)), self.guards_verdict(access_token)

    def guards_verdict(self, access_token: str) -> str:
        """Return why the guarded service refuses a token."""
        call: Any = self.guarded.unary_unary(path("unary_unary"))
        return _reason(lambda: call(b"", metadata=bearer(access_token), timeout=30))


def _reason(call: Callable[[], object]) -> str:
    try:
        call()
    except grpc.RpcError as error:
        return Refusal(error).reason or "no reason"
    return ""


def log_out(world: World) -> Outcome:
    _, (mine, other) = world.user(2)
    assert logout(world.auth, mine.access_token) == 1
    return Outcome([mine], [other])


def log_out_by_id(world: World) -> Outcome:
    _, (mine, other) = world.user(2)
    assert logout(world.auth, mine.access_token, session_id=other.session_id) == 1
    return Outcome([other], [mine])


def log_out_others(world: World) -> Outcome:
    _, (mine, *others) = world.user(3)
    assert logout(world.auth, mine.access_token, scope=api.LOGOUT_SCOPE_OTHERS) == 2
    return Outcome(others, [mine])


def log_out_all(world: World) -> Outcome:
    _, all_of_them = world.user(3)
    assert logout(world.auth, all_of_them[0].access_token, scope=api.LOGOUT_SCOPE_ALL) == 3
    return Outcome(all_of_them)


def revoke_session(world: World) -> Outcome:
    _, (mine, other) = world.user(2)
    account = Account(world.channel, mine.access_token)
    assert account.call("RevokeSession", session_id=other.session_id).ended_sessions == 1
    return Outcome([other], [mine])


def revoke_other_sessions(world: World) -> Outcome:
    _, (mine, *others) = world.user(3)
    assert Account(world.channel, mine.access_token).call("RevokeOtherSessions").ended_sessions == 2
    return Outcome(others, [mine])


def log_in_once_more_than_allowed(world: World) -> Outcome:
    name, (oldest, *others) = world.user(MOST)
    for each in others:
        world.clock.advance(seconds=1)
        refresh(world.auth, each.refresh_token)
    return Outcome([oldest], [*others, login(world.auth, name)])


def reuse_a_refresh_token(world: World) -> Outcome:
    _, (stolen, other) = world.user(2)
    newer = refresh(world.auth, stolen.refresh_token)
    world.clock.advance(seconds=31)
    assert refusal(refresh, world.auth, stolen.refresh_token).reason == "REFRESH_TOKEN_REUSED"
    return Outcome([stolen, newer], [other])


def change_the_password(world: World) -> Outcome:
    _, (mine, *others) = world.user(3)
    changed = Account(world.channel, mine.access_token).call(
        "ChangePassword", old_password=PASSWORD, new_password=OTHER_PASSWORD
    )
    assert changed.ended_sessions == 2
    return Outcome(others, [mine])


def reset_the_password(world: World) -> Outcome:
    name, all_of_them = world.user(2)
    anyone = Account(world.channel)
    anyone.call("RequestPasswordReset", user_name_or_email=name)
    token = Mailbox(world.service).token(f"{name}@example.com")
    assert anyone.call("ResetPassword", token=token, new_password=OTHER_PASSWORD).ended_sessions == 2
    return Outcome(all_of_them)


def change_the_address(world: World) -> Outcome:
    name, all_of_them = world.user(2)
    Account(world.channel, all_of_them[0].access_token).call("ChangeEmail", new_email=f"new-{name}@example.com")
    token = Mailbox(world.service).token(f"new-{name}@example.com")
    assert Account(world.channel).call("VerifyEmail", token=token).ended_sessions == 2
    return Outcome(all_of_them)


def remove_the_app(world: World) -> Outcome:
    name, (mine, other) = world.user(2)
    user = world.service.admin.operate_users.find(name, Deadline.after(20))
    _, codes = Seeder(world.service).app(user)
    proved = world.auth.StepUp(api.StepUpRequest(code=codes[0]), metadata=bearer(mine.access_token))
    assert Account(world.channel, proved.access_token).call("RemoveTotp").ended_sessions == 2
    return Outcome([other], [refresh(world.auth, mine.refresh_token)])


def remove_a_passkey(world: World) -> Outcome:
    name, (mine, other) = world.user(2)
    user = world.service.admin.operate_users.find(name, Deadline.after(20))
    device = Seeder(world.service).passkey(user)
    asked = world.auth.BeginPasskeyLogin(api.BeginPasskeyLoginRequest()).ceremony
    proof = api.PasskeyProof(ceremony_token=asked.ceremony_token, credential_json=device.get(asked.options_json))
    proved = world.auth.StepUp(api.StepUpRequest(passkey=proof), metadata=bearer(mine.access_token))
    account = Account(world.channel, proved.access_token)
    (held,) = account.call("ListFactors").factors
    assert account.call("RemovePasskey", passkey_id=held.passkey_id).ended_sessions == 2
    return Outcome([other], [refresh(world.auth, mine.refresh_token)])


def operator_removes_the_app(world: World) -> Outcome:
    name, all_of_them = world.user(2)
    user = world.service.admin.operate_users.find(name, Deadline.after(20))
    Seeder(world.service).app(user)
    assert world.service.admin.operate_users.remove_second_factor(name, Deadline.after(20)) == 3
    return Outcome(all_of_them)


def operator_sets_a_password(world: World) -> Outcome:
    name, all_of_them = world.user(2)
    world.service.admin.make_one_time_password(name, Deadline.after(20))
    return Outcome(all_of_them)


def disable(world: World) -> Outcome:
    name, all_of_them = world.user(2)
    world.service.admin.operate_users.disable(name, Deadline.after(20))
    return Outcome(all_of_them)


def operator_sets_an_address(world: World) -> Outcome:
    name, all_of_them = world.user(2)
    assert world.service.admin.set_email(name, f"{name}@example.net", Deadline.after(20)) == 2
    return Outcome(all_of_them)


def operator_ends_one(world: World) -> Outcome:
    _, (ended, other) = world.user(2)
    world.service.admin.operate_sessions.end_one(UUID(ended.session_id), Deadline.after(20))
    return Outcome([ended], [other])


def operator_ends_all_of_a_user(world: World) -> Outcome:
    name, all_of_them = world.user(2)
    world.service.admin.operate_sessions.end_all_of(name, Deadline.after(20))
    return Outcome(all_of_them)


def operator_ends_everybodys(world: World) -> Outcome:
    _, ours = world.user(2)
    _, theirs = world.user(1)
    list(world.service.admin.operate_sessions.end_everybodys())
    return Outcome([*ours, *theirs])


def delete_account(world: World) -> Outcome:
    _, all_of_them = world.user(2)
    assert Account(world.channel, all_of_them[0].access_token).call("DeleteAccount").ended_sessions == 2
    return Outcome(all_of_them)


def operator_deletes_and_erases_at_once(world: World) -> Outcome:
    name, all_of_them = world.user(2)
    user = world.service.admin.operate_users.find(name, Deadline.after(20))
    world.service.account.delete_account(user.id, Deadline.after(20), by_operator=True, at_once=True)
    assert world.service.account.erase_accounts.erase(user.id)
    return Outcome(all_of_them)


def log_in_within_the_grace_and_be_erased(world: World) -> Outcome:
    name, (first,) = world.user(1)
    Account(world.channel, first.access_token).call("DeleteAccount")
    again = login(world.auth, name)
    assert world.verdicts(again.access_token) == ("", "")
    user = world.service.admin.operate_users.find(name, Deadline.after(20))
    world.service.parts.database.transact(
        lambda tx: tx.users.set_erase_at(user.id, world.clock.now), Deadline.after(20), settle=last_counts
    )
    assert world.service.account.erase_accounts.erase(user.id)
    return Outcome([first, again])


PATHS: dict[SessionEnd, tuple[Callable[[World], Outcome], ...]] = {
    SessionEnd.LOGOUT: (log_out, log_out_by_id, log_out_others, log_out_all),
    SessionEnd.REVOKED: (revoke_session, revoke_other_sessions),
    SessionEnd.TOO_MANY: (log_in_once_more_than_allowed,),
    SessionEnd.REFRESH_REUSE: (reuse_a_refresh_token,),
    SessionEnd.PASSWORD_CHANGED: (change_the_password,),
    SessionEnd.PASSWORD_RESET: (reset_the_password,),
    SessionEnd.EMAIL_CHANGED: (change_the_address, operator_sets_an_address),
    SessionEnd.FACTOR_REMOVED: (remove_the_app, remove_a_passkey, operator_removes_the_app),
    SessionEnd.PASSWORD_SET: (operator_sets_a_password,),
    SessionEnd.USER_DISABLED: (disable,),
    SessionEnd.BY_OPERATOR: (operator_ends_one, operator_ends_all_of_a_user, operator_ends_everybodys),
    SessionEnd.ACCOUNT_DELETED: (
        delete_account,
        operator_deletes_and_erases_at_once,
        log_in_within_the_grace_and_be_erased,
    ),
}
"""What ends sessions, by the reason that it leaves with them."""


@pytest.fixture
def world(settings: Settings, clock: SettableClock) -> Iterator[World]:
    """Yield the service with a guarded service in another process, which watches it."""
    clock.advance(minutes=-2)  # It will move on, and the other process has the time of this machine.
    service = bootstrap.assemble(
        settings.model_copy(update={"sessions_per_user": MOST}), clock=clock, hash_cost=CHEAPEST
    )
    server, port = serve_in_process(service)
    command = [sys.executable, "-m", "tests.rpc.account.guarded_process", str(port)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdin
        assert process.stdout
        guarded = int(process.stdout.readline())
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel, grpc.insecure_channel(f"127.0.0.1:{guarded}") as to:
            yield World(service, channel, to, clock)
        process.stdin.close()
        assert process.wait(30) == 0
    server.stop(0)
    service.close()


def test_s1_every_reason_for_which_sessions_end_has_a_row() -> None:
    assert PATHS.keys() == set(SessionEnd) - {SessionEnd.OTHER}, "add the path that ends sessions for this reason"


def test_s1_s2_whatever_ends_sessions_has_verify_and_a_guard_in_another_process_refuse_them(world: World) -> None:
    seeds = Seeder(world.service)
    for reason, paths in PATHS.items():
        for way in paths:
            outcome = way(world)
            for tokens in outcome.ended:
                assert _reason(lambda token=tokens: verify(world.auth, token.access_token)) == ENDED, way.__name__  # type: ignore[misc]
                assert refusal(refresh, world.auth, tokens.refresh_token).reason == ENDED, way.__name__
                eventually(
                    lambda token=tokens: world.guards_verdict(token.access_token) == ENDED,  # type: ignore[misc]
                    f"the guard to refuse after {way.__name__}",
                )
            eventually(
                lambda live=outcome.live: {world.verdicts(each.access_token) for each in live} <= {("", "")},  # type: ignore[misc]
                f"the others to be let in after {way.__name__}",
            )
            stored = [found for each in outcome.ended if (found := seeds.find(UUID(each.session_id)))]
            assert {found.end_reason for found in stored} <= {reason}, way.__name__
            assert stored or reason is SessionEnd.ACCOUNT_DELETED, "only erasure takes the rows as well"
