"""Bad input: the right status, a reason, the field at fault, and nothing changed."""

import random
import string
import time
from dataclasses import replace
from typing import Any

import grpc
import pytest
from authapi.v1 import account_service_pb2 as account_api
from authapi.v1 import auth_service_pb2 as api
from authapi.v1 import auth_service_pb2_grpc as rpc
from authclient import Policy

from authservice import bootstrap
from authservice.domain.deadline import Deadline
from authservice.domain.user import User
from tests.contract import FILES, SERVED, is_text, path_of
from tests.observed import PASSWORD, Refusal, login, refusal, register, verify

Stub = rpc.AuthServiceStub
REGISTER = "/authapi.v1.AuthService/Register"
before_any_database = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
"""Of what is refused before a database is asked. Which one it would be plays no part."""

NAMES = {
    "empty": "",
    "too long": "a" * 65,
    "too many bytes": "☃" * 43,
    "NUL": "ad\0min",
    "space": "ad min",
    "outer space": "admin ",
    "newline": "admin\n",
    "right-to-left override": "admin\N{RIGHT-TO-LEFT OVERRIDE}nimda",
    "zero width space": "ad\N{ZERO WIDTH SPACE}min",
    "zero width joiner": "ad\N{ZERO WIDTH JOINER}min",
    "soft hyphen": "ad\N{SOFT HYPHEN}min",
    "byte order mark": "\ufeffadmin",
    "mixed scripts": "\N{CYRILLIC SMALL LETTER A}dmin",
    "at sign": "ada@example.com",
    "full-width at sign": "ada\N{FULLWIDTH COMMERCIAL AT}example",
    "escape": "\x1b[31madmin",
    "emoji": "ada\N{GRINNING FACE}",
    "only punctuation": "...",
    "right-to-left letters before left-to-right": "\N{HEBREW LETTER ALEF}a",
}


def nobody_exists(service: bootstrap.Service) -> bool:
    return service.admin.operate_users.page("", 10, Deadline.after(5)) == []


@before_any_database
@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
def test_v1_unfit_names_are_refused_by_field(stub: Stub, service: bootstrap.Service, name: str) -> None:
    answer = refusal(register, stub, name)
    assert (answer.code, answer.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_INPUT")
    assert list(answer.violations) == ["user_name"]
    assert not name or name not in answer.violations["user_name"]
    assert nobody_exists(service)


TWINS = ["ADMIN", "Admin", "\N{FULLWIDTH LATIN SMALL LETTER A}dmin", "ＡＤＭＩＮ", "aDmIn"]


@pytest.mark.parametrize("twin", TWINS)
def test_v2_other_spellings_of_a_taken_name_are_taken(stub: Stub, twin: str) -> None:
    user = register(stub, "admin")
    answer = refusal(register, stub, twin)
    assert (answer.code, answer.reason) == (grpc.StatusCode.ALREADY_EXISTS, "USER_NAME_TAKEN")
    assert verify(stub, login(stub, twin).access_token).user_id == user.user_id


def test_v2_an_accent_makes_another_name_on_every_database(stub: Stub) -> None:
    ids = {register(stub, name).user_id for name in ("admin", "ádmin", "admın", "strasse", "straße")}
    assert len(ids) == 5
    assert verify(stub, login(stub, "A\N{COMBINING ACUTE ACCENT}DMIN").access_token).user_name == "ádmin"


@pytest.mark.parametrize("name", ["Ada", "ÁDA", "Straße", "Ａda", "山田太郎", "μιχάλης", "a.b-c_d", "x'--", "<b>"])
def test_v1_accepted_names_come_back_as_they_were_typed(stub: Stub, name: str) -> None:
    assert register(stub, name).user_name == name
    assert verify(stub, login(stub, name).access_token).user_name == name


@before_any_database
@pytest.mark.parametrize(
    "password",
    ["", "x", "14-characters!", "x" * 1025, "y" * 4096, "aaaaaaaaaaaaaaaaaaaa", "passwordpassword", "qwertyuiopasdfgh"],
    ids=["empty", "1 byte", "14", "1025", "4 KiB", "repeated", "common", "keyboard walk"],
)
def test_v7_unfit_passwords_are_refused_by_field(stub: Stub, service: bootstrap.Service, password: str) -> None:
    before = service.parts.hash_pool.computed
    answer = refusal(register, stub, "ada", password)
    assert (answer.code, answer.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_INPUT")
    assert list(answer.violations) == ["password"]
    assert service.parts.hash_pool.computed == before
    assert nobody_exists(service)


@pytest.mark.parametrize("length", [15, 64, 72, 73, 1024])
def test_v7_passwords_of_every_allowed_length_log_in_whole(stub: Stub, length: int) -> None:
    alphabet = string.ascii_lowercase + string.digits
    password = "".join(random.Random(length).choices(alphabet, k=length))
    register(stub, "ada", password)
    assert login(stub, "ada", password).session_id
    assert refusal(login, stub, "ada", password[:-1]).reason == "CREDENTIALS_INVALID"


def test_v7_a_password_of_a_megabyte_is_refused_before_any_work(stub: Stub, service: bootstrap.Service) -> None:
    password = "z" * 2**20
    before, hashes = time.process_time(), service.parts.hash_pool.computed
    for call in (register, login):
        assert refusal(call, stub, "ada", password).code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert service.parts.hash_pool.computed == hashes
    assert time.process_time() - before < 0.5


def test_everything_wrong_is_told_at_once(stub: Stub) -> None:
    answer = refusal(register, stub, "", "short", email="nobody", idempotency_key="short")
    assert list(answer.violations) == ["user_name", "email", "idempotency_key", "password"]


@before_any_database
@pytest.mark.parametrize("email", ["ada", "@", "ada@", "a b@example.com", "ada@example.com\n", "a" * 250 + "@b.cd"])
def test_unfit_addresses_are_refused_by_field(stub: Stub, email: str) -> None:
    assert list(refusal(register, stub, "ada", email=email).violations) == ["email"]


@before_any_database
@pytest.mark.parametrize("label", ["x" * 65, "a\nb", "\x1b[2J", "a\N{RIGHT-TO-LEFT OVERRIDE}b"])
def test_unfit_client_labels_are_refused_by_field(stub: Stub, label: str) -> None:
    register(stub, "ada")
    assert list(refusal(login, stub, "ada", PASSWORD, label).violations) == ["client_label"]


def test_unfit_logout_targets_are_refused_by_field(stub: Stub) -> None:
    register(stub, "ada")
    bearer = (("authorization", f"Bearer {login(stub, 'ada').access_token}"),)
    bad = [
        (api.LogoutRequest(session_id="x"), "session_id"),
        (api.LogoutRequest(session_id="0191D5A5-0000-7000-8000-000000000000"), "session_id"),
        (
            api.LogoutRequest(session_id="0191d5a5-0000-7000-8000-000000000000", scope=api.LOGOUT_SCOPE_ALL),
            "session_id",
        ),
        (api.LogoutRequest.FromString(b"\x08\x63"), "scope"),
    ]
    for request, field in bad:
        assert list(refusal(stub.Logout, request, metadata=bearer).violations) == [field]


GARBAGE = {
    "nothing": ("", "TOKEN_MISSING"),
    "text": ("garbage", "TOKEN_INVALID"),
    "dots": ("." * 4000, "TOKEN_INVALID"),
    "three parts": ("a.b.c", "TOKEN_INVALID"),
    "64 KiB": ("a" * 2**16, "TOKEN_INVALID"),
    "not ASCII": ("é.é.é", "TOKEN_INVALID"),
}


@before_any_database
@pytest.mark.parametrize(("token", "reason"), GARBAGE.values(), ids=GARBAGE.keys())
def test_t9_garbage_is_no_token(stub: Stub, token: str, reason: str) -> None:
    answer = refusal(verify, stub, token)
    assert (answer.code, answer.reason) == (grpc.StatusCode.UNAUTHENTICATED, reason)


def test_s10_garbage_is_no_refresh_token(stub: Stub) -> None:
    register(stub, "ada")
    good = login(stub, "ada").refresh_token
    for bad in ("", "rt1.", good[:-1], good + "A", good.upper(), good + "=", " " + good, good[4:], "x" * 60_000):
        answer = refusal(stub.Refresh, api.RefreshRequest(refresh_token=bad))
        assert (answer.code, answer.reason) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_INVALID")
    assert stub.Refresh(api.RefreshRequest(refresh_token=good)).tokens.refresh_token


def test_t7_a_refresh_token_is_no_access_token_and_the_reverse(stub: Stub) -> None:
    register(stub, "ada")
    tokens = login(stub, "ada")
    assert refusal(verify, stub, tokens.refresh_token).reason == "TOKEN_INVALID"
    swapped = api.RefreshRequest(refresh_token=tokens.access_token)
    assert refusal(stub.Refresh, swapped).reason == "TOKEN_INVALID"


@pytest.mark.parametrize("values", [("Bearer {0}", "Bearer {0}"), ("Bearer {0}", "Bearer x"), ("Basic {0}",), ("{0}",)])
def test_a8_doubled_or_foreign_authorization_is_refused(stub: Stub, values: tuple[str, ...]) -> None:
    register(stub, "ada")
    token = login(stub, "ada").access_token
    metadata = tuple(("authorization", value.format(token)) for value in values)
    answer = refusal(stub.Logout, api.LogoutRequest(), metadata=metadata)
    assert (answer.code, answer.reason) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_INVALID")
    assert verify(stub, token)


def test_a8_forged_identity_metadata_means_nothing(stub: Stub) -> None:
    register(stub, "ada")
    token = login(stub, "ada").access_token
    forged = (("x-user-id", "1"), ("x-user-name", "root"), ("x-forwarded-for", "127.0.0.1"), ("x-roles", "admin"))
    answer = stub.Verify(api.VerifyRequest(access_token=token), metadata=forged)
    assert answer.identity == verify(stub, token)
    assert refusal(stub.Logout, api.LogoutRequest(), metadata=forged).reason == "TOKEN_MISSING"


def raw(channel: grpc.Channel, method: str, data: bytes, **options: object) -> Refusal:
    return refusal(channel.unary_unary(method), data, **options)


def register_bytes(channel: grpc.Channel, data: bytes) -> api.RegisterResponse:
    call: Any = channel.unary_unary(REGISTER)
    return api.RegisterResponse.FromString(call(data))


def test_v3_bytes_that_are_no_message_are_invalid_input(channel: grpc.Channel, service: bootstrap.Service) -> None:
    broken = [b"\xff", b"\x0a\xff", b"\x0a\x05abc", b"\x0a\x02\xc3\x28", b"\x0a\x03\xed\xa0\x80", b"\x00", b"\x0b"]
    first_texts = {method: next(filter(is_text, method.input_type.fields), None) for method in SERVED}
    for method, text in first_texts.items():
        if not text or not Policy(*FILES).rules[path_of(method)].is_public:
            continue
        for data in broken:
            answer = raw(channel, path_of(method), data.replace(b"\x0a", bytes([text.number << 3 | 2]), 1))
            refused = (answer.code, answer.reason)
            assert refused == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_INPUT"), (method.name, data)
    assert nobody_exists(service)


def test_v3_mutated_messages_never_break_the_server(channel: grpc.Channel, service: bootstrap.Service) -> None:
    chance = random.Random(3)
    request = api.RegisterRequest(user_name="", password=PASSWORD, email="a@b.cd", idempotency_key="k" * 16)
    seed = request.SerializeToString()
    allowed = {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.UNAUTHENTICATED}
    for number in range(500):
        data = bytearray(seed)
        for _ in range(chance.randint(1, 6)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        method = ("Register", "Login", "Refresh", "Verify")[number % 4]
        answer = raw(channel, f"/authapi.v1.AuthService/{method}", bytes(data))
        assert answer.code in allowed, (method, bytes(data), answer.code)
    assert nobody_exists(service)


def test_v4_too_much_is_refused_before_any_work(channel: grpc.Channel, service: bootstrap.Service) -> None:
    big = api.RegisterRequest(user_name="a" * (66 * 1024)).SerializeToString()
    assert raw(channel, REGISTER, big).code is grpc.StatusCode.RESOURCE_EXHAUSTED
    fat = (("x-fat", "y" * 9000),)
    assert raw(channel, REGISTER, b"", metadata=fat).code is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_v4_unknown_fields_are_dropped(channel: grpc.Channel, stub: Stub) -> None:
    known = api.RegisterRequest(user_name="ada", password=PASSWORD).SerializeToString()
    unknown = b"".join(b"\xc2\x3e\x03xyz" for _ in range(10_000 // 6))
    answer = register_bytes(channel, known + unknown)
    assert answer.user_name == "ada"
    assert b"xyz" not in answer.SerializeToString()


def test_a3_nothing_but_the_contracts_fields_can_be_set(channel: grpc.Channel, stub: Stub) -> None:
    # Field 6 and above might be an id, roles or a verified mark one day; today they are unknown and change nothing.
    extra = b"\x32\x05admin" + b"\x38\x01" + b"\x42\x24" + b"0191d5a5-0000-7000-8000-000000000000"
    data = api.RegisterRequest(user_name="ada", password=PASSWORD).SerializeToString() + extra
    answer = register_bytes(channel, data)
    identity = verify(stub, login(stub, "ada").access_token)
    assert identity.user_id == answer.user_id != "0191d5a5-0000-7000-8000-000000000000"
    assert list(identity.roles) == []


def test_a3_an_update_of_an_account_changes_what_it_names_and_nothing_else(
    channel: grpc.Channel, stub: Stub, service: bootstrap.Service
) -> None:
    register(stub, "ada", email="ada@example.com")
    token = login(stub, "ada").access_token

    def stored() -> User:
        found = service.parts.database.read(lambda tx: tx.users.by_name("ada"), Deadline.after(10))
        assert found
        return found

    before = stored()
    # Behind the two fields there are: others with an address and roles, and a whole account as GetAccount answers it.
    whole = account_api.Account(
        user_id="0191d5a5-0000-7000-8000-000000000000", user_name="eve", email="eve@example.com", roles=["admin"]
    )
    unknown = b"".join(
        bytes([number << 3 | 2, len(value)]) + value
        for number, value in ((3, b"eve@example.com"), (4, b"admin"), (5, b"admin"), (6, whole.SerializeToString()))
    )
    data = account_api.UpdateAccountRequest(display_name="Ada").SerializeToString() + unknown
    update: Any = channel.unary_unary("/authapi.v1.AccountService/UpdateAccount")
    update(data, metadata=(("authorization", f"Bearer {token}"),), timeout=30)
    assert stored() == replace(before, display_name="Ada")


PATHS = [
    "/authapi.v1.AuthService/verify",
    "/authapi.v1.AuthService/Verify/",
    "//authapi.v1.AuthService/Verify",
    "/authapi.v1.AuthService//Verify",
    "/AUTHAPI.V1.AuthService/Verify",
    "/authapi.v1.AuthService/Verify?x=1",
    "/authapi.v1.AuthService/%56erify",
    "/authapi.v1.AuthService/../AuthService/Verify",
    "/authapi.v1.AuthService/Delete",
    "/authapi.v1.Other/Verify",
    "/x",
]


@before_any_database
@pytest.mark.parametrize("path", PATHS)
def test_a4_odd_paths_reach_nothing(channel: grpc.Channel, path: str) -> None:
    assert raw(channel, path, b"").code is grpc.StatusCode.UNIMPLEMENTED
