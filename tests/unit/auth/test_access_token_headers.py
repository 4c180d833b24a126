"""What a token's header says about algorithms, keys and types is compared with what we know, never believed."""

import base64
import hashlib
import hmac
import itertools
import json
import sys
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from authservice.domain.errors import TokenInvalid
from tests.unit.desk import Desk
from tests.unit.forgery import ALGORITHMS, GOOD_CLAIMS, Forger, b64, claims_with, forger, stranger, to_json

every_algorithm = pytest.mark.parametrize("alg", ALGORITHMS)
public_key_algorithm = pytest.mark.parametrize("alg", ["ES256", "EdDSA", "RS256"])

_events: list[str] | None = None


def _watch(event: str, _args: tuple[Any, ...]) -> None:
    if _events is not None and event in ("open", "socket.connect", "socket.getaddrinfo", "subprocess.Popen"):
        _events.append(event)


sys.addaudithook(_watch)


def public_jwk(key: Forger) -> dict[str, Any]:
    makers: dict[str, Any] = {"ES256": ECAlgorithm, "EdDSA": OKPAlgorithm, "RS256": RSAAlgorithm}
    return dict(json.loads(makers[key.alg].to_jwk(key.public)))


def public_forms(key: Forger) -> list[bytes]:
    """Return the public key in every form that somebody may have at hand as bytes."""
    public, jwk = key.public, public_jwk(key)
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    forms = [pem, pem.strip(), pem.replace(b"\n", b"\r\n"), der, base64.b64encode(der), b64(der).encode()]
    forms.append(public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH))
    forms += [
        json.dumps(jwk).encode(),
        to_json(jwk),
        to_json({"keys": [jwk]}),
        json.dumps(jwk, sort_keys=True).encode(),
    ]
    forms += [value.encode() for value in jwk.values() if isinstance(value, str)]
    match key.alg:
        case "RS256":
            forms += [public.public_bytes(encoding, PublicFormat.PKCS1) for encoding in (Encoding.PEM, Encoding.DER)]
            forms.append(public.public_numbers().n.to_bytes(256))
        case "ES256":
            points = (PublicFormat.UncompressedPoint, PublicFormat.CompressedPoint)
            forms += [public.public_bytes(Encoding.X962, point) for point in points]
        case "EdDSA":
            forms.append(public.public_bytes(Encoding.Raw, PublicFormat.Raw))
    return [*forms, key.kid.encode(), b""]


@every_algorithm
def test_t3_none_in_sixteen_spellings_is_refused(alg: str) -> None:
    desk, own = Desk(*map(forger, ALGORITHMS)), forger(alg)
    spellings = ["".join(letters) for letters in itertools.product("nN", "oO", "nN", "eE")]
    assert len(spellings) == 16
    for spelling in [*spellings, "", " none", "none ", "n\\u006fne", "NULL"]:
        header = to_json(own.header(alg=spelling))
        signed = own.token(header=header)
        unsigned = signed.rpartition(".")[0]
        for token in (signed, unsigned + ".", unsigned, unsigned + ".AA", f"{unsigned}.{own.token().split('.')[2]}"):
            assert desk.verdict(token) is TokenInvalid
    assert desk.verdict(own.token()) is None


@public_key_algorithm
def test_t3_our_public_key_is_no_hmac_secret_in_any_format(alg: str) -> None:
    own, secret = forger(alg), forger("HS256")
    for desk in (Desk(own), Desk(own, secret)):
        for form in public_forms(own):
            for claimed, kid in itertools.product((alg, "HS256", "HS512", "hs256"), (own.kid, secret.kid)):
                signed = f"{b64(to_json(own.header(alg=claimed, kid=kid)))}.{b64(to_json(GOOD_CLAIMS))}"
                token = f"{signed}.{b64(hmac.digest(form, signed.encode(), hashlib.sha256))}"
                assert desk.verdict(token) is TokenInvalid
    assert Desk(own, secret).verdict(secret.token()) is None


@pytest.mark.parametrize(("one", "other"), list(itertools.permutations(ALGORITHMS, 2)))
def test_t3_no_algorithm_passes_for_another(one: str, other: str) -> None:
    desk = Desk(*map(forger, ALGORITHMS))
    signing, claimed = forger(one), forger(other)
    assert desk.verdict(signing.token(header=to_json(signing.header(alg=other)))) is TokenInvalid
    assert desk.verdict(signing.token(header=to_json(signing.header(kid=claimed.kid)))) is TokenInvalid
    assert desk.verdict(signing.token(header=to_json(claimed.header()))) is TokenInvalid
    assert desk.verdict(signing.token()) is None


@every_algorithm
def test_t3_an_algorithm_has_one_name(alg: str) -> None:
    desk, own = Desk(forger(alg)), forger(alg)
    names: list[Any] = [alg.lower(), alg + " ", alg[:-1], alg + "\0", "", None, 0, True, [alg], {"alg": alg}]
    names += ["ES256K", "ES384", "Ed25519", "Ed448", "PS256", "RS1", "RS512", "HS1", "A128KW", "dir"]
    for name in names:
        assert desk.verdict(own.token(header=to_json(own.header(alg=name)))) is TokenInvalid


def pointing_members(alg: str) -> list[dict[str, Any]]:
    """Return header members that ask a careless reader to take a key, or another meaning, from the token."""
    jwk = public_jwk(stranger(alg)) if alg != "HS256" else {"kty": "oct", "k": b64(stranger(alg).private)}
    digest = b64(hashlib.sha256(b"certificate").digest())
    members: list[dict[str, Any]] = [
        {"jwk": jwk},
        {"jwk": None},
        {"jku": "http://127.0.0.1:9/jwks.json"},
        {"jku": "file:///etc/passwd"},
        {"x5u": "http://127.0.0.1:9/cert.pem"},
        {"x5c": [base64.b64encode(b"certificate").decode()]},
        {"x5t": digest[:27]},
        {"x5t#S256": digest},
        {"crit": ["exp"]},
        {"crit": ["b64"], "b64": False},
        {"crit": []},
        {"crit": None},
        {"b64": False},
        {"b64": True},
        {"zip": "DEF"},
        {"cty": "JWT"},
        {"enc": "A256GCM"},
        {"p2c": 2**31},
        {"iss": GOOD_CLAIMS["iss"]},
        {"": ""},
        {"KID": "own"},
    ]
    return members


@every_algorithm
def test_t4_a_header_that_asks_for_more_is_refused_and_nothing_is_fetched(alg: str) -> None:
    global _events  # noqa: PLW0603  # the audit hook of an interpreter cannot be taken away, only told to rest
    desk = Desk(forger(alg))
    for key in (forger(alg), stranger(alg)):
        tokens = [key.token(header=to_json(key.header(**members))) for members in pointing_members(alg)]
        _events = []
        verdicts, events = {desk.verdict(token) for token in tokens}, _events
        _events = None
        assert verdicts == {TokenInvalid}
        assert events == []


def test_the_watch_for_opened_files_sees_one() -> None:
    global _events  # noqa: PLW0603
    _events = []
    with open(__file__, "rb"):
        seen = _events
    _events = None
    assert "open" in seen


@every_algorithm
def test_t4_a_key_id_that_is_no_id_of_ours_is_refused(alg: str) -> None:
    desk, own = Desk(forger(alg)), forger(alg)
    ids: list[Any] = ["../../../../dev/null", "/etc/passwd", "own' OR '1'='1", "'; DROP TABLE users; --", "k" * 100_000]
    ids += [own.kid + "\0", "\0" + own.kid, own.kid + " ", own.kid.upper(), own.kid[:-1], own.kid + "x", "", "unknown"]
    ids += ["$(id)", "%00", "\ud800", "\N{CYRILLIC SMALL LETTER O}" + own.kid[1:], "*", "own-%"]
    ids += [None, 0, 1.5, True, [own.kid], {"kid": own.kid}, [], {}]
    for kid in ids:
        assert desk.verdict(own.token(header=to_json(own.header(kid=kid)))) is TokenInvalid
    assert desk.verdict(own.token(header=to_json(own.header(kid=own.kid)))) is None


@every_algorithm
def test_t4_a_header_that_two_readers_could_read_differently_is_refused(alg: str) -> None:
    desk, own = Desk(forger(alg)), forger(alg)
    good = json.dumps(own.header())
    headers = [good.replace("}", f', "{name}": "{value}"}}') for name, value in own.header().items()]
    headers += [good.replace("}", ', "alg": "none"}'), good.replace("{", '{"alg": "none", '), good + good, good + "x"]
    headers += ["[]", "null", "1", '""', "", f"[{good}]", good.replace('"', "'"), good[:-1], good + "\0", "//\n" + good]
    encoded = [text.encode() for text in headers if text]
    encoded += [good.encode(codec) for codec in ("utf-8-sig", "utf-16", "utf-16-le", "utf-32", "utf-16-be")]
    encoded += [good.encode().replace(b"own", b"own\xff"), good.encode().replace(b"own", b"\xed\xa0\x80")]
    encoded += [to_json({k: v for k, v in own.header().items() if k != left_out}) for left_out in own.header()]
    for header in encoded:
        assert desk.verdict(own.token(header=header)) is TokenInvalid
    assert desk.verdict(own.token(header=good.encode())) is None


@every_algorithm
def test_t7_a_token_of_any_other_type_is_refused(alg: str) -> None:
    desk, own = Desk(forger(alg)), forger(alg)
    types: list[Any] = ["JWT", "jwt", "at+JWT", "AT+JWT", "application/at+jwt", "at+jwt ", "at jwt", "at%2Bjwt", ""]
    types += ["refresh+jwt", "reset+jwt", "mfa+jwt", "email+jwt", "logout+jwt", "secevent+jwt", "dpop+jwt", "id+jwt"]
    types += [None, True, 1, ["at+jwt"], {"typ": "at+jwt"}]
    for typ in types:
        token = own.token(header=to_json(own.header(typ=typ)), payload=claims_with())
        assert desk.verdict(token) is TokenInvalid
