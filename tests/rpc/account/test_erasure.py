"""What is held about a person: all of it is exported, and none of it is left after erasure. On each database."""

import json
import time
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import grpc
import pytest
from authapi.v1 import account_service_pb2 as api
from authapi.v1 import auth_service_pb2 as auth_api
from authapi.v1 import auth_service_pb2_grpc as rpc
from grpc import Channel

from authservice import bootstrap
from authservice.domain.deadline import Deadline
from authservice.domain.errors import StorageUnavailable
from authservice.storage.tables.held import Kind
from authservice.transport.streams.exports import WRITERS
from authservice.transport.streams.writers import IMPATIENT_SECONDS
from tests.conftest import RecordedAudit, SettableClock, serve_in_process
from tests.faults.seeding import Seeder
from tests.observed import PASSWORD, login, logout, refresh, refusal, register, verify
from tests.rpc.account.calling import Account, bearer
from tests.rpc.account.canary_person import CanaryPerson, everything, exported

Stub = rpc.AuthServiceStub
GRACE = timedelta(days=14)


def export_of(channel: Channel, access_token: str) -> list[str]:
    stub = Account(channel, access_token).stub
    return [
        part.json for part in stub.ExportAccount(api.ExportAccountRequest(), metadata=bearer(access_token), timeout=30)
    ]


def test_l6_an_export_has_every_personal_column_and_no_secret(service: bootstrap.Service) -> None:
    CanaryPerson.put_into(service)  # Somebody else.
    canary = CanaryPerson.put_into(service)
    lines = list(service.account.export_account(canary.person.user_id))
    found = exported(lines)
    assert found.keys() == canary.of_kind(Kind.PERSONAL).keys()
    for place, value in canary.of_kind(Kind.PERSONAL).items():
        assert found[place] == [_as_json(value)], place
    text = "".join(lines)
    for place, secret in canary.of_kind(Kind.SECRET).items():
        if secret == canary.person.user_id:
            continue  # Said at the top of every export.
        shown = b64encode(secret).decode() if isinstance(secret, bytes) else str(_as_json(secret))
        assert shown not in text, place
        assert not isinstance(secret, bytes) or secret.hex() not in text, place


def _as_json(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds")
    if isinstance(value, tuple):
        return [_as_json(each) for each in value]
    return value if isinstance(value, str | int | None) else str(value)


def test_l6_an_export_is_read_in_batches_and_misses_no_row(service: bootstrap.Service) -> None:
    canary = CanaryPerson.put_into(service, rows=7)
    export = replace(service.account.export_account, batch=3)
    parts = [json.loads(line) for line in export(canary.person.user_id)]
    sessions = [part["rows"] for part in parts if part.get("table") == "sessions"]
    assert [len(rows) for rows in sessions] == [3, 3, 1]
    assert len({row["id"] for rows in sessions for row in rows}) == 7
    assert parts[0] == {
        "format": "authservice-account",
        "version": 1,
        "time": service.parts.clock().isoformat(timespec="microseconds"),
        "user_id": str(canary.person.user_id),
    }


@pytest.mark.parametrize("batch", [2, 500])
def test_l7_nothing_is_left_of_a_person_in_any_column_and_everything_of_others(
    service: bootstrap.Service, tmp_path: Path, backend: str, batch: int
) -> None:
    canary, other = CanaryPerson.put_into(service, rows=5), CanaryPerson.put_into(service, rows=5)
    service.account.cancel_deletion.database.transact(
        lambda tx: tx.users.set_erase_at(other.person.user_id, None), Deadline.after(20), settle=lambda _, last: last
    )
    of_other = list(service.account.export_account(other.person.user_id))[1:]
    assert set(canary.left()) >= {"users.name", "sessions.client_label", "email_claims.email"}
    assert replace(service.account.erase_accounts, batch=batch)(60.0) == 1
    assert list(canary.left()) == []
    assert list(service.account.export_account(other.person.user_id))[1:] == of_other
    if backend == "sqlite":
        assert canary.in_files(tmp_path) == []
        assert other.in_files(tmp_path), "what is there is found this way"


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_l7_nothing_is_left_in_the_file_when_many_pages_have_changed_meanwhile(
    service: bootstrap.Service, tmp_path: Path
) -> None:
    people = [CanaryPerson.put_into(service, rows=4) for _ in range(40)]
    assert service.account.erase_accounts(60.0) == len(people)
    assert [needle for person in people for needle in person.in_files(tmp_path)] == []


def test_l7_who_deletes_their_account_is_out_at_once_and_gone_after_the_grace(
    channel: Channel, stub: Stub, service: bootstrap.Service, clock: SettableClock, audit: RecordedAudit
) -> None:
    user_id = register(stub, "Ada-Canary", email="ada@example.com").user_id
    logout(stub, login(stub, "ada-canary", label="canary-label").access_token)
    others, mine = login(stub, "ada-canary", label="canary-label"), login(stub, "ada-canary")
    Account(channel, mine.access_token).call("UpdateAccount", display_name="Ada Canary", locale="en-GB")
    answer = Account(channel, mine.access_token).call("DeleteAccount")
    assert answer.ended_sessions == 2
    assert answer.erase_time.ToDatetime(UTC) == clock.now + GRACE
    assert {refusal(verify, stub, each.access_token).reason for each in (mine, others)} == {"SESSION_ENDED"}
    assert refusal(refresh, stub, mine.refresh_token).reason == "SESSION_ENDED"
    clock.advance(days=14)
    assert service.account.erase_accounts(60.0) == 1
    stored = {(table, column): value for table, column, value in everything(service)}
    text = b" ".join(stored.values()).lower()
    assert not [word for word in (b"canary", b"example.com", b"127.0.0.1", b"en-gb") if word in text]
    assert audit.events[-1] == ("account_erased", {"user_id": user_id})
    assert refusal(login, stub, "ada-canary").reason == "CREDENTIALS_INVALID"


def test_l7_tokens_of_an_account_that_is_erased_at_once_are_refused_for_as_long_as_they_last(
    stub: Stub, service: bootstrap.Service
) -> None:
    user_id = UUID(register(stub, "ada").user_id)
    tokens = login(stub, "ada")
    service.account.delete_account(user_id, Deadline.after(20), by_operator=True, at_once=True)
    assert service.account.erase_accounts.erase(user_id)
    assert refusal(verify, stub, tokens.access_token).reason == "SESSION_ENDED"
    assert refusal(refresh, stub, tokens.refresh_token).reason == "SESSION_ENDED"
    rules = [rule.subject for rule in service.parts.revocation_log.after(0)]
    assert UUID(tokens.session_id) in rules, "services that check tokens by themselves go on refusing them"


def test_l7_the_name_of_an_erased_account_is_never_used_again_and_its_address_is_free(
    channel: Channel, stub: Stub, service: bootstrap.Service, clock: SettableClock
) -> None:
    first = register(stub, "ada", email="ada@example.com")
    Account(channel, login(stub, "ada").access_token).call("DeleteAccount")
    clock.advance(days=14)
    service.account.erase_accounts(60.0)
    for name in ("ada", "ADA"):
        assert refusal(register, stub, name).reason == "USER_NAME_TAKEN"
        assert refusal(register, stub, name, idempotency_key="a key that is long enough").reason == "USER_NAME_TAKEN"
    second = register(stub, "ada2", email="ada@example.com")
    assert second.user_id != first.user_id
    assert login(stub, "ada@example.com").access_token


def test_l7_of_a_registration_and_an_erasure_at_once_none_gives_the_name_away(
    service: bootstrap.Service, clock: SettableClock
) -> None:
    seeds = Seeder(service)
    users = [seeds.user(f"user{number}") for number in range(10)]
    for user in users:
        service.account.delete_account(user.id, Deadline.after(20), at_once=True)
    with ThreadPoolExecutor(2) as threads:
        erasing = threads.submit(service.account.erase_accounts, 60.0)
        registering = [threads.submit(seeds.user, user.name.typed) for user in users]
        assert erasing.result() == 10
        assert {type(each.exception()).__name__ for each in registering} == {"UserNameTaken"}


def test_a_login_within_the_grace_says_so_and_the_deletion_can_be_cancelled(
    channel: Channel, stub: Stub, service: bootstrap.Service, clock: SettableClock
) -> None:
    register(stub, "ada")
    request = auth_api.LoginRequest(user_name_or_email="ada", password=PASSWORD)
    before = stub.Login(request)
    assert not before.HasField("erase_time")
    asked = Account(channel, before.tokens.access_token).call("DeleteAccount")
    clock.advance(days=13)
    within = stub.Login(request)
    assert within.erase_time == asked.erase_time
    account = Account(channel, within.tokens.access_token)
    assert account.call("GetAccount").account.erase_time == asked.erase_time
    for _ in range(2):
        assert not account.call("CancelDeletion").account.HasField("erase_time")
    clock.advance(days=2)
    assert service.account.erase_accounts(60.0) == 0
    assert not stub.Login(request).HasField("erase_time")


def test_a_repeated_deletion_puts_nothing_off(channel: Channel, stub: Stub, clock: SettableClock) -> None:
    register(stub, "ada")
    first = Account(channel, login(stub, "ada").access_token).call("DeleteAccount")
    clock.advance(days=3)
    second = Account(channel, login(stub, "ada").access_token).call("DeleteAccount")
    assert (second.erase_time, second.ended_sessions) == (first.erase_time, 1)


def test_after_the_grace_nobody_logs_in_or_cancels_even_where_no_server_has_looked(
    channel: Channel, stub: Stub, clock: SettableClock
) -> None:
    register(stub, "ada")
    Account(channel, login(stub, "ada").access_token).call("DeleteAccount")
    clock.advance(days=14, minutes=-10)
    account = Account(channel, login(stub, "ada").access_token)
    clock.advance(minutes=10)
    assert refusal(account.call, "CancelDeletion").reason == "NOT_PERMITTED"
    assert refusal(login, stub, "ada").reason == "CREDENTIALS_INVALID"


@pytest.mark.parametrize("method", ["DeleteAccount", "ExportAccount"])
def test_a_proof_of_ten_minutes_ago_is_not_fresh_enough_even_if_the_token_is(
    channel: Channel, stub: Stub, clock: SettableClock, method: str
) -> None:
    # The guard has the time of this machine.
    clock.advance(minutes=-10)
    register(stub, "ada")
    tokens = login(stub, "ada")
    clock.advance(minutes=10)
    tokens = refresh(stub, tokens.refresh_token)
    call = Account(channel, tokens.access_token).call
    refused = refusal(lambda: list(call(method)) if method == "ExportAccount" else call(method))
    assert refused.reason == "AUTHENTICATION_TOO_OLD"


def test_an_account_is_read_and_changed(channel: Channel, stub: Stub, audit: RecordedAudit) -> None:
    registered = register(stub, "Ada", email="ada@example.com")
    account = Account(channel, login(stub, "ada").access_token)
    found = account.call("GetAccount").account
    assert (found.user_id, found.user_name, found.email) == (registered.user_id, "Ada", "ada@example.com")
    assert found.create_time == registered.create_time
    assert not found.HasField("erase_time")
    changed = account.call("UpdateAccount", display_name="Ada Lövelace", locale="de-CH").account
    assert (changed.display_name, changed.locale) == ("Ada Lövelace", "de-CH")
    assert account.call("UpdateAccount", locale="").account.display_name == "Ada Lövelace", "it was not set"
    assert account.call("GetAccount").account.locale == ""
    assert audit.count("account_updated") == 2


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("display_name", "x" * 65),
        ("display_name", "a\u202eb"),
        ("locale", "de_CH"),
        ("locale", "e" * 36),
        ("locale", "-"),
    ],
)
def test_v1_what_cannot_be_said_about_oneself_is_named(channel: Channel, stub: Stub, field: str, value: str) -> None:
    register(stub, "ada")
    account = Account(channel, login(stub, "ada").access_token)
    assert refusal(account.call, "UpdateAccount", **{field: value}).violations.keys() == {field}


def test_an_export_over_the_wire_is_that_of_the_caller_and_ends_well(
    channel: Channel, stub: Stub, service: bootstrap.Service, audit: RecordedAudit
) -> None:
    seeds = Seeder(service)
    seeds.sessions(seeds.user("eve"), 3)
    seeds.sessions(ada := seeds.user("ada"), 250)
    found = exported(export_of(channel, login(stub, "ada", label="phone").access_token))
    assert found["users", "id"] == [str(ada.id)]
    assert len(found["sessions", "id"]) == 251
    assert found["sessions", "client_label"].count("phone") == 1
    assert audit.events[-1] == ("account_exported", {"user_id": str(ada.id), "by_operator": False})


def test_exports_hold_no_thread_of_calls(channel: Channel, stub: Stub, service: bootstrap.Service) -> None:
    seeds = Seeder(service)
    (tokens,) = seeds.sessions(seeds.user("ada"), 1)
    account = Account(channel, tokens.access_token)
    request, metadata = api.ExportAccountRequest(), bearer(tokens.access_token)
    unread = [account.stub.ExportAccount(request, metadata=metadata, timeout=30) for _ in range(40)]
    assert account.call("GetAccount").account.user_name == "ada", "there are 16 threads for calls"
    assert all(json.loads(next(each).json)["version"] == 1 for each in unread)


def test_exports_that_wait_for_a_slow_database_are_not_taken_for_unread_ones(
    channel: Channel, stub: Stub, service: bootstrap.Service
) -> None:
    def slowly(user_id: UUID) -> Iterator[str]:
        lines = service.account.export_account(user_id)
        yield next(lines)
        time.sleep(3 * IMPATIENT_SECONDS)  # This is the database.
        yield from lines

    seeds = Seeder(service)
    (tokens,) = seeds.sessions(seeds.user("ada"), 1)
    stories = replace(service.account, export_account=cast(Any, slowly))
    server, port = serve_in_process(replace(service, account=stories))
    with grpc.insecure_channel(f"127.0.0.1:{port}") as own:
        export, metadata = Account(own, tokens.access_token).stub.ExportAccount, bearer(tokens.access_token)
        # More than there are threads for, so that one waits for its turn.
        calls = [export(api.ExportAccountRequest(), metadata=metadata, timeout=30) for _ in range(WRITERS + 1)]
        assert len({len(list(call)) for call in calls}) == 1
    server.stop(0)


def test_an_export_that_the_database_stops_ends_with_the_reason(
    channel: Channel, stub: Stub, service: bootstrap.Service
) -> None:
    seeds = Seeder(service)
    (tokens,) = seeds.sessions(ada := seeds.user("ada"), 1)
    lines = service.account.export_account(ada.id)
    stopped: Any = lambda _: stopped_after_one(lines)  # noqa: E731
    stories = replace(service.account, export_account=stopped)
    server, port = serve_in_process(replace(service, account=stories))
    with grpc.insecure_channel(f"127.0.0.1:{port}") as own:
        call = Account(own, tokens.access_token).stub.ExportAccount(
            api.ExportAccountRequest(), metadata=bearer(tokens.access_token), timeout=30
        )
        assert next(call).json
        assert refusal(next, call).reason == "STORAGE_UNAVAILABLE"
    server.stop(0)


def stopped_after_one(lines: Iterator[str]) -> Iterator[str]:
    yield next(lines)
    raise StorageUnavailable
