"""Every claim is required, has one type and is compared exactly, however well the token is signed."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from authclient import TokenVerifier

from authservice.domain.errors import TokenExpired, TokenInvalid, TokenNotYetValid
from authservice.security.access_tokens import SignedAccessTokens
from tests.contracts.things import a_session, a_user
from tests.unit.desk import Desk, KnownKeys
from tests.unit.forgery import (
    AUDIENCE,
    GOOD_CLAIMS,
    ISSUER,
    NOW,
    SECONDS,
    claims_with,
    forger,
    to_json,
)

TEXTS = ("iss", "aud", "client_id", "jti", "preferred_username")
IDS = ("sub", "sid")
TIMES = ("exp", "iat", "nbf", "auth_time")
NUMBERS = ("gen",)
LISTS = ("amr", "roles")

NO_CLAIM = [None, "null", "NaN", "Infinity", "-Infinity", "1e400", "1" + "0" * 30, "-1", "1.5", "true", "false", "{}"]
NO_TEXT = [*NO_CLAIM, '""', "0", "[]", '["x"]', '{"x":1}', r'"\ud800"', r'"a\udfffb"', r'"\udc00\ud800"']
NO_ID = [
    *NO_TEXT,
    '"x"',
    '"0191D5A5-0000-7000-8000-000000000001"',
    '"0191d5a5000070008000000000000001"',
    '"{0191d5a5-0000-7000-8000-000000000001}"',
    '"urn:uuid:0191d5a5-0000-7000-8000-000000000001"',
    r'"0191d5a5-0000-7000-8000-000000000001\n"',
    '" 0191d5a5-0000-7000-8000-000000000001"',
    '"٠191d5a5-0000-7000-8000-000000000001"',
]
NO_TIME = [
    *NO_CLAIM,
    f'"{SECONDS}"',
    f"{SECONDS}.0",
    f"{SECONDS}e0",
    f"[{SECONDS}]",
    '""',
    "[]",
    "253402300800",
    "9" * 18,
    "9" * 5000,
    "1e308",
    '"2026-01-01T12:00:00Z"',
]
NO_NUMBER = [*NO_CLAIM, '"0"', "0.0", "0e0", "[0]", '""', "[]", "2147483648", "9" * 18, "1e308"]
NO_LIST = [*NO_CLAIM, '"pwd"', "0", "[1]", "[null]", '[""]', '[["pwd"]]', '["pwd",true]', r'["\ud800"]', '{"0":"pwd"}']
SHAPES = [
    (claim, shape)
    for claims, shapes in ((TEXTS, NO_TEXT), (IDS, NO_ID), (TIMES, NO_TIME), (NUMBERS, NO_NUMBER), (LISTS, NO_LIST))
    for claim in claims
    for shape in shapes
]


@pytest.fixture(scope="module")
def desk() -> Desk:
    return Desk(forger("ES256"))


def signed(payload: bytes) -> str:
    return forger("ES256").token(payload)


def test_the_claims_under_test_are_all_there_are_and_good_as_they_stand(desk: Desk) -> None:
    assert {*TEXTS, *IDS, *TIMES, *NUMBERS, *LISTS} == set(GOOD_CLAIMS)
    assert desk.verdict(signed(claims_with())) is None
    assert desk.verdict(signed(claims_with(roles="[]", another='"claim"'))) is None


@pytest.mark.parametrize(("claim", "shape"), SHAPES)
def test_t5_a_claim_that_is_missing_or_of_another_form_is_refused(desk: Desk, claim: str, shape: str | None) -> None:
    assert desk.verdict(signed(claims_with(**{claim: shape}))) is TokenInvalid


@pytest.mark.parametrize("claim", GOOD_CLAIMS)
def test_t5_a_claim_that_stands_twice_is_refused(desk: Desk, claim: str) -> None:
    value = json.dumps(GOOD_CLAIMS[claim])
    for twice in (f"{value},{json.dumps(claim)}:{value}", f'null,"{claim}":{value}', f'{value},"{claim}":null'):
        assert desk.verdict(signed(claims_with(**{claim: twice}))) is TokenInvalid
    escaped = claim.replace(claim[0], f"\\u{ord(claim[0]):04x}", 1)
    assert desk.verdict(signed(claims_with(**{claim: f'{value},"{escaped}":{value}'}))) is TokenInvalid


@pytest.mark.parametrize("inner", ["NaN", '{"a":1,"a":2}', "1" + "0" * 30, "01", "+1", "0x1"])
def test_t5_an_additional_claim_does_not_make_bad_json_good(desk: Desk, inner: str) -> None:
    assert desk.verdict(signed(claims_with(another=inner))) is TokenInvalid


@pytest.mark.parametrize(
    "encode",
    [
        lambda text: text.encode("utf-8-sig"),
        lambda text: text.encode("utf-16"),
        lambda text: text.encode("utf-16-le"),
        lambda text: text.encode("utf-16-be"),
        lambda text: text.encode("utf-32"),
        lambda text: text.replace("Ada", "Ad\xe4").encode("latin-1"),
        lambda text: text.encode().replace(b"Ada", b"Ad\xed\xa0\x80"),
        lambda text: text.encode().replace(b"Ada", b"Ad\xc1\x81"),
        lambda text: text.encode() + b"\0",
        lambda text: text.encode() + text.encode(),
        lambda text: text[:-1].encode(),
        lambda text: f"[{text}]".encode(),
        lambda text: json.dumps(text).encode(),
        lambda text: text.replace('"', "'").encode(),
        lambda text: text.replace("}", ",}").encode(),
        lambda text: text.replace("Ada", "A\nda").encode(),
    ],
)
def test_t5_claims_in_another_encoding_or_dialect_are_refused(desk: Desk, encode: Callable[[str], bytes]) -> None:
    assert desk.verdict(signed(encode(claims_with().decode()))) is TokenInvalid


def near_misses(name: str) -> list[object]:
    misses: list[object] = [
        name[:-1],
        name[1:],
        name + "x",
        "x" + name,
        name + "/",
        name + " ",
        " " + name,
        name + "\0",
    ]
    misses += [name.upper(), name.title(), name + "." + name, name + "\n", name.replace("e", "е"), "*", "", [name]]
    misses += [[name, "other"], {"0": name}, {name: name}, name + "\N{ZERO WIDTH SPACE}"]
    return misses


@pytest.mark.parametrize("claim", ["iss", "aud"])
def test_t5_t8_another_issuer_or_audience_is_refused_however_close(desk: Desk, claim: str) -> None:
    for miss in near_misses(str(GOOD_CLAIMS[claim])):
        assert desk.verdict(signed(to_json(GOOD_CLAIMS | {claim: miss}))) is TokenInvalid


def test_t8_a_token_counts_for_its_own_issuer_and_audience_only() -> None:
    key = forger("ES256")
    for issuer, audience in ((ISSUER, "billing"), ("https://auth.other", AUDIENCE), (AUDIENCE, ISSUER)):
        other = Desk(key, issuer=issuer, audience=audience)
        assert other.verdict(key.token()) is TokenInvalid
        assert other.verdict(key.token(to_json(GOOD_CLAIMS | {"iss": issuer, "aud": audience}))) is None


@pytest.mark.parametrize(("issuer", "audience"), [("", AUDIENCE), (ISSUER, ""), ("", "")])
def test_t8_without_issuer_and_audience_there_is_no_verifier(issuer: str, audience: str) -> None:
    keys = KnownKeys(forger("ES256"))
    with pytest.raises(ValueError, match="must be set"):
        TokenVerifier(issuer, audience, keys.find)
    with pytest.raises(ValueError, match="must be set"):
        SignedAccessTokens(issuer, audience, keys)


def at(**times: int) -> bytes:
    return to_json(GOOD_CLAIMS | {name: SECONDS + offset for name, offset in times.items()})


def test_t5_a_life_longer_than_a_day_is_refused_even_if_signed(desk: Desk) -> None:
    day = 86_400
    assert desk.verdict(signed(at(exp=day))) is None
    for life in (day + 1, 365 * day, 100 * 365 * day):
        assert desk.verdict(signed(at(exp=life))) is TokenInvalid
    assert desk.verdict(signed(claims_with(exp="253402300799"))) is TokenInvalid
    assert desk.verdict(signed(claims_with(iat="0"))) is TokenInvalid


def test_t5_a_life_of_nothing_or_less_is_refused(desk: Desk) -> None:
    for life in (0, -1, -3600):
        assert desk.verdict(signed(at(exp=life))) is TokenInvalid


def test_t5_the_last_moments_of_the_calendar_are_judged_like_others(desk: Desk) -> None:
    last = claims_with(exp="253402300799", iat="253402300000", nbf="253402300000")
    assert desk.verdict(signed(last)) is TokenNotYetValid
    first = claims_with(exp="900", iat="0", nbf="0", auth_time="0")
    assert desk.verdict(signed(first)) is TokenExpired


def test_w1_expiry_is_refused_at_its_microsecond_after_thirty_seconds_of_leeway(desk: Desk) -> None:
    token, end = signed(claims_with()), NOW + timedelta(seconds=900 + 30)
    assert desk.verdict(token, end - timedelta(microseconds=1)) is None
    assert desk.verdict(token, end) is TokenExpired


def test_t5_a_login_later_than_the_token_is_refused_even_within_the_leeway(desk: Desk) -> None:
    assert desk.verdict(signed(at(auth_time=-86_400))) is None
    for later in (1, 30, 31, 3600):
        assert desk.verdict(signed(at(auth_time=later))) is TokenInvalid
    assert desk.verdict(signed(claims_with(auth_time="253402300799"))) is TokenInvalid


def test_t5_a_server_whose_clock_is_behind_issues_no_token_older_than_its_login(desk: Desk) -> None:
    user = a_user()
    for ahead in (0, 3, 25):
        session = a_session(user, authenticated_at=NOW + timedelta(seconds=ahead))
        token = desk.tokens.issue(user, session, NOW, NOW + timedelta(minutes=15))
        assert desk.verdict(token) is None
        assert desk.read(token).authenticated_at == NOW
    before = a_session(user, authenticated_at=NOW - timedelta(hours=1))
    token = desk.tokens.issue(user, before, NOW, NOW + timedelta(minutes=15))
    assert desk.read(token).authenticated_at == NOW - timedelta(hours=1)


@pytest.mark.parametrize("claim", ["nbf", "iat"])
def test_w2_a_token_may_be_thirty_seconds_ahead_of_this_clock_and_no_more(desk: Desk, claim: str) -> None:
    ahead: dict[int, datetime] = {30: NOW, 31: NOW + timedelta(seconds=1)}
    for seconds, begin in ahead.items():
        token = signed(at(**{claim: seconds}))
        assert desk.verdict(token, begin) is None
        assert desk.verdict(token, begin - timedelta(microseconds=1)) is TokenNotYetValid
