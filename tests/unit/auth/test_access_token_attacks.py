"""Tokens in each other's place, tokens that cost too much to read, tokens whose key has gone."""

import json
import random
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from joserfc import jwk, jwt
from joserfc.errors import JoseError

from authservice.domain.errors import TokenInvalid
from authservice.security.refresh_tokens import SealedRefreshTokens
from tests.unit.desk import Desk
from tests.unit.forgery import (
    ALGORITHMS,
    AUDIENCE,
    GOOD_CLAIMS,
    ISSUER,
    SECONDS,
    Forger,
    b64,
    claims_with,
    forger,
    stranger,
    to_json,
    unb64,
)

every_algorithm = pytest.mark.parametrize("alg", ALGORITHMS)
MOST_CPU = 0.003
"""Seconds that refusing one hostile token may cost on average. The worst takes 0.4 ms on an idle core here; a token
that is too long has to cost a tenth of this, because it is refused before anything of it is decoded."""


def test_t7_a_refresh_token_is_no_access_token_and_the_reverse() -> None:
    refresh_tokens = SealedRefreshTokens(b"k" * 32)
    desk, access = Desk(forger("ES256")), forger("ES256").token()
    refresh = refresh_tokens.first(UUID(str(GOOD_CLAIMS["sid"]))).text
    for text in (refresh, refresh + ".a", refresh.replace(".", "."), "a." + refresh, refresh.replace("rt1.", "a.b.")):
        assert desk.verdict(text) is TokenInvalid
    for text in (access, "rt1." + access, access[:95], "rt1." + access.replace(".", "")[:91]):
        with pytest.raises(TokenInvalid):
            refresh_tokens.read(text)
    assert desk.verdict(access) is None
    assert refresh_tokens.read(refresh).text == refresh


def padded(length: int) -> str:
    """Return a good token of about, and at most, so many characters."""
    empty = len(forger("HS256").token(claims_with(padding='""')))
    return forger("HS256").token(claims_with(padding=f'"{"x" * ((length - empty) * 3 // 4)}"'))


def test_t9_a_token_of_four_kib_is_read_and_a_longer_one_is_not() -> None:
    desk, fits, exceeds = Desk(forger("HS256")), padded(4096), padded(4100)
    assert 4090 < len(fits) <= 4096 < len(exceeds) <= 4100
    assert desk.verdict(fits) is None
    assert desk.verdict(exceeds) is TokenInvalid


HOSTILE: dict[str, Callable[[], str]] = {
    "a megabyte of dots": lambda: "." * 1_000_000,
    "a megabyte in three parts": lambda: ".".join(["A" * 333_333] * 3),
    "four KiB of dots": lambda: "." * 4096,
    "four KiB without a dot": lambda: "A" * 4096,
    "a signed megabyte": lambda: forger("HS256").token(claims_with(padding=f'"{"x" * 1_000_000}"')),
    "nesting of 100,000": lambda: forger("HS256").token(b"[" * 100_000),
    "nesting as deep as fits, in the header": lambda: f"{b64(b'[' * 2900)}.e30.AA",
    "objects as deep as fit, in the header": lambda: b64(b'{"a":' * 500) + ".e30.AA",
    "a text without an end behind brackets, in the header": lambda: b64(b"[" * 33 + b'\\"' * 1400) + ".e30.AA",
    "many brackets that are not deep, in the header": lambda: b64(b'{"a":[' + b"[]," * 950) + ".e30.AA",
    "nesting as deep as fits, signed": lambda: forger("HS256").token(b"[" * 2800),
    "nesting that closes, in a claim": lambda: forger("HS256").token(claims_with(roles="[" * 1100 + "]" * 1100)),
    "a number of 5,000 digits": lambda: forger("HS256").token(claims_with(exp="9" * 5000)),
    "a number as long as fits": lambda: forger("HS256").token(claims_with(exp="9" * 2300)),
    "a float as long as fits": lambda: forger("HS256").token(claims_with(exp="1." + "9" * 2300)),
    "a huge exponent": lambda: forger("HS256").token(claims_with(exp="1e999999999")),
    "many members in the header": lambda: f"{b64(to_json({str(n): 0 for n in range(350)}))}.e30.AA",
    "one key id of 2 KB, unknown": lambda: f"{b64(to_json(forger('HS256').header(kid='k' * 2000)))}.e30.AA",
}


@pytest.mark.parametrize("shape", HOSTILE)
def test_t9_a_hostile_token_is_refused_for_little_cpu(shape: str) -> None:
    desk, text = Desk(forger("HS256")), HOSTILE[shape]()
    assert desk.verdict(text) is TokenInvalid

    def seconds(repetitions: int = 20) -> float:
        """Return what one refusal costs this thread."""
        begin = time.thread_time()
        for _ in range(repetitions):
            with pytest.raises(TokenInvalid):
                desk.read(text)
        return (time.thread_time() - begin) / repetitions

    # The least of a few rounds: what else the machine does makes the same instructions take longer.
    assert min(seconds() for _ in range(10)) < (MOST_CPU if len(text) <= 4096 else MOST_CPU / 10)


@every_algorithm
def test_t10_a_token_seen_before_is_refused_once_its_key_is_gone(alg: str) -> None:
    desk, token = Desk(forger(alg)), forger(alg).token()
    assert desk.read(token) is desk.read(token), "the second reading comes from the cache"
    key = desk.keys.by_kid.pop(forger(alg).kid)
    assert desk.verdict(token) is TokenInvalid
    desk.keys.by_kid[key.kid] = key
    assert desk.verdict(token) is None


def test_t10_a_token_seen_before_is_refused_once_its_key_id_stands_for_another_key() -> None:
    desk, token = Desk(forger("ES256")), forger("ES256").token()
    assert desk.verdict(token) is None
    desk.keys.by_kid["own-ES256"] = Desk(stranger("ES256")).keys.by_kid["own-ES256"]
    assert desk.verdict(token) is TokenInvalid


def test_t10_what_one_audience_has_accepted_is_not_accepted_by_another() -> None:
    key = forger("ES256")
    first, second = Desk(key), Desk(key, audience="billing")
    for _ in range(3):
        assert first.verdict(key.token()) is None
        assert second.verdict(key.token()) is TokenInvalid


def test_t10_a_refusal_is_not_remembered_against_a_key_that_comes_later() -> None:
    desk, late = Desk(forger("ES256")), forger("EdDSA")
    assert desk.verdict(late.token()) is TokenInvalid
    desk.keys.by_kid |= Desk(late).keys.by_kid
    assert desk.verdict(late.token()) is None


def joserfc_key(key: Forger) -> Any:
    if isinstance(key.private, bytes):
        return jwk.OctKey.import_key(key.private)
    kinds: dict[str, Any] = {"ES256": jwk.ECKey, "EdDSA": jwk.OKPKey, "RS256": jwk.RSAKey}
    return kinds[key.alg](key.private, key.public)


def joserfc_accepts(text: str, key: Any, alg: str) -> bool:
    rules = jwt.JWTClaimsRegistry(
        now=SECONDS,
        leeway=30,
        iss={"essential": True, "value": ISSUER},
        aud={"essential": True, "value": AUDIENCE},
        sub={"essential": True},
        exp={"essential": True},
        iat={"essential": True},
    )
    try:
        rules.validate(jwt.decode(text, key, algorithms=[alg]).claims)
    except (JoseError, ValueError):
        return False
    return True


VALUES = ["null", '""', '"x"', "0", "-1", str(SECONDS), str(SECONDS + 25), "1e3", "true", "[]", '["pwd"]', "{}", "NaN"]
VALUES += [json.dumps(ISSUER), json.dumps(AUDIENCE), f'["{AUDIENCE}"]', f'"{SECONDS}"', "1" + "0" * 30, r'"\ud800"']


def mutated(key: Forger, chance: random.Random) -> str:
    """Return a token with one thing changed, at random before or after it was signed."""
    kind = chance.choice(["claim", "claim", "new claim", "header", "typ", "text", "signature", "key", "space"])
    match kind:
        case "claim":
            return key.token(claims_with(**{chance.choice(list(GOOD_CLAIMS)): chance.choice([None, *VALUES])}))
        case "new claim":
            return key.token(claims_with(another=chance.choice(VALUES)))
        case "header":
            extra = {chance.choice(["crit", "b64", "zip", "cty", "jku", "x"]): chance.choice([False, "DEF", ["b64"]])}
            return key.token(header=to_json(key.header(**extra)))
        case "typ":
            return key.token(header=to_json(key.header(typ=chance.choice(["JWT", "at+jwt", "x"]))))
        case "key":
            return stranger(key.alg).token()
        case "space":
            return key.token(json.dumps(GOOD_CLAIMS, indent=chance.randrange(4)).encode())
    text = key.token()
    if kind == "text":
        position = chance.randrange(len(text))
        return text[:position] + chance.choice("Aa0-_=+/. ") + text[position + chance.randrange(2) :]
    signed, _, signature = text.rpartition(".")
    changed = bytearray(unb64(signature))
    changed[chance.randrange(len(changed))] ^= chance.choice([0, 0, 1, 128])
    return f"{signed}.{b64(bytes(changed))}"


# joserfc prefers the newer name Ed25519 (RFC 9864), which PyJWT and most other verifiers do not know yet.
@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
@every_algorithm
def test_t12_what_is_accepted_here_another_library_accepts_too(alg: str) -> None:
    desk, key, chance = Desk(forger(alg)), forger(alg), random.Random(f"T12 {alg}")
    other, outcomes = joserfc_key(key), {True: 0, False: 0}
    for _ in range(150):
        text = mutated(key, chance)
        accepted = desk.verdict(text) is None
        outcomes[accepted] += 1
        assert not accepted or joserfc_accepts(text, other, alg), text
    assert min(outcomes.values()) >= 25, "both outcomes occur, or the comparison would say nothing"
    assert not joserfc_accepts(stranger(alg).token(), other, alg)
