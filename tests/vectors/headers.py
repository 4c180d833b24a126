"""What a token's header says is compared with what is known, never believed (T3, T4, T7)."""

import base64
import hashlib
import hmac
import itertools
import json
from collections.abc import Iterator
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.vectors.book import GOOD_CLAIMS, Book, b64, claims, to_json, token
from tests.vectors.keys import ALGORITHMS, KINDS, Signer, own, stranger


def add_headers(book: Book) -> None:
    """Write all cases of this module."""
    _none(book)
    _hmac_with_public_keys(book)
    _swaps(book)
    _good_headers(book)
    for name, members in _members(stranger("ES256")):
        for kind in ("ES256", "EdDSA"):
            text = token(header=own(kind).header(**members), key=own(kind))
            book.refuses(f"a header of {kind} with {name} is refused", "T4", text)
        text = token(header=stranger("ES256").header(**members), key=stranger("ES256"))
        book.refuses(f"a stranger's header with {name} is refused", "T4", text)
    _key_ids(book)
    for name, malformed in _malformed():
        book.refuses(f"a header {name} is refused", "T4", token(header=malformed))
    _types(book)


def _none(book: Book) -> None:
    signer, signature = own("ES256"), token().split(".")[2]
    book.named("signature ES256", signature)
    spellings = ["".join(letters) for letters in itertools.product("nN", "oO", "nN", "eE")]
    assert len(spellings) == 16
    for spelling in [*spellings, "", " none", "none ", "NULL", "none\0", "unsecured"]:
        signed = token(header=signer.header(alg=spelling))
        unsigned = signed.rpartition(".")[0]
        endings = {
            "no signature": ".",
            "an empty looking signature": ".AA",
            "another token's signature": f".{signature}",
        }
        for name, ending in endings.items():
            book.refuses(f"the algorithm {spelling!r} with {name} is refused", "T3", unsigned + ending)
        book.refuses(f"the algorithm {spelling!r} with a good ES256 signature is refused", "T3", signed)
    header = to_json(signer.header(alg="none")).replace(b"none", b"n\\u006fne")
    book.refuses("the algorithm none in escapes is refused", "T3", token(header=header).rpartition(".")[0] + ".")


def _public_forms(signer: Signer) -> dict[str, bytes]:
    """Return the public key in the forms that somebody may have at hand as bytes."""
    public = signer.public
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    forms = {
        "PEM": pem,
        "PEM without its last line end": pem.strip(),
        "PEM with CRLF": pem.replace(b"\n", b"\r\n"),
        "DER": signer.spki,
        "base64 of DER": base64.b64encode(signer.spki),
        "SSH": public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH),
        "JWK text": to_json(public_jwk(public)),
        "no secret at all": b"",
        "its id": signer.kid.encode(),
    }
    match public:
        case rsa.RSAPublicKey():
            forms["PKCS #1 PEM"] = public.public_bytes(Encoding.PEM, PublicFormat.PKCS1)
            forms["PKCS #1 DER"] = public.public_bytes(Encoding.DER, PublicFormat.PKCS1)
            forms["raw modulus"] = public.public_numbers().n.to_bytes(public.key_size // 8, "big")
        case ec.EllipticCurvePublicKey():
            forms["raw point"] = public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
            forms["compressed point"] = public.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
        case _:
            forms["raw bytes"] = public.public_bytes_raw()
    return forms


def public_jwk(public: Any) -> dict[str, str]:
    """Return a public key as a JWK (RFC 7518 section 6, RFC 8037 section 2)."""
    match public:
        case rsa.RSAPublicKey():
            numbers = public.public_numbers()
            return {"kty": "RSA", "n": b64(numbers.n.to_bytes(public.key_size // 8, "big")), "e": "AQAB"}
        case ec.EllipticCurvePublicKey():
            point = public.public_numbers()
            return {
                "kty": "EC",
                "crv": "P-256",
                "x": b64(point.x.to_bytes(32, "big")),
                "y": b64(point.y.to_bytes(32, "big")),
            }
        case ed25519.Ed25519PublicKey():
            return {"kty": "OKP", "crv": "Ed25519", "x": b64(public.public_bytes_raw())}
    raise AssertionError(public)


def _hmac_with_public_keys(book: Book) -> None:
    for kind in ALGORITHMS:
        signer = own(kind)
        for form, secret in _public_forms(signer).items():
            for alg in ("HS256", signer.alg):
                signed = f"{b64(to_json(signer.header(alg=alg)))}.{b64(claims())}"
                text = f"{signed}.{b64(hmac.digest(secret, signed.encode(), hashlib.sha256))}"
                book.refuses(f"an HMAC with our {kind} key as {form} is no signature by {alg}", "T3", text)
        for alg, digest in (("HS384", hashlib.sha384), ("HS512", hashlib.sha512), ("hs256", hashlib.sha256)):
            signed = f"{b64(to_json(signer.header(alg=alg)))}.{b64(claims())}"
            text = f"{signed}.{b64(hmac.digest(_public_forms(signer)['PEM'], signed.encode(), digest))}"
            book.refuses(f"an HMAC with our {kind} key as PEM is no signature by {alg}", "T3", text)


def _swaps(book: Book) -> None:
    for one, other in itertools.permutations(KINDS, 2):
        signing, claimed = own(one), own(other)
        if signing.alg != claimed.alg:
            text = token(header=signing.header(alg=claimed.alg), key=signing)
            book.refuses(f"a token of our {one} key does not pass for {claimed.alg}, as {other}", "T3", text)
            text = token(header=signing.header(kid=claimed.kid), key=signing)
            book.refuses(f"a token by {one} does not pass with the id of our {other} key", "T3", text)
        text = token(header=claimed.header(), key=signing)
        book.refuses(f"a token of our {one} key does not pass as one of our {other} key", "T3", text)
    names: list[Any] = [
        "ES256K",
        "ES384",
        "ES512",
        "Ed25519",
        "Ed448",
        "PS256",
        "RS1",
        "RS384",
        "RS512",
        "HS1",
        "HS256",
    ]
    names += ["A128KW", "dir", "RSA-OAEP", "", None, 0, True, 1.5, [], {}, "*", "ESP256", "ML-DSA-44"]
    for kind in ALGORITHMS:
        alg = own(kind).alg
        around = [
            alg.lower(),
            alg.swapcase(),
            alg + " ",
            " " + alg,
            alg[:-1],
            alg + "\0",
            alg + "6",
            [alg],
            {"alg": alg},
        ]
        for shown in dict.fromkeys(json.dumps(name) for name in [*names, *around]):
            text = token(header=own(kind).header(alg=json.loads(shown)), key=own(kind))
            book.refuses(f"a good {kind} signature by the name of {shown} is refused", "T3", text)


def _good_headers(book: Book) -> None:
    signer = own("ES256")
    good = signer.header()
    headers = {
        "with its members in another order": to_json(dict(reversed(good.items()))),
        "with spaces and line ends between its members": json.dumps(good, indent=2).encode(),
        "with escapes in a name": to_json(good).replace(b'"alg"', b'"\\u0061lg"'),
        "with escapes in a value": to_json(good).replace(b"at+jwt", b"at\\u002bjwt"),
    }
    for name, header in headers.items():
        book.accepts(f"a header {name} is good", "T4", token(header=header))


def _members(other: Signer) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield members that ask a careless reader to take a key, or another meaning, from the token."""
    digest, certificate = b64(hashlib.sha256(b"certificate").digest()), base64.b64encode(b"certificate").decode()
    members: list[dict[str, Any]] = [
        {"jwk": public_jwk(other.public)},
        {"jwk": None},
        {"jwk": {}},
        {"jku": "http://127.0.0.1:9/jwks.json"},
        {"jku": "file:///etc/passwd"},
        {"jku": ""},
        {"x5u": "http://127.0.0.1:9/cert.pem"},
        {"x5c": [certificate]},
        {"x5c": []},
        {"x5t": digest[:27]},
        {"x5t#S256": digest},
        {"crit": ["exp"]},
        {"crit": ["b64"], "b64": False},
        {"crit": ["b64"], "b64": True},
        {"crit": ["http://example.com/unknown"], "http://example.com/unknown": True},
        {"crit": []},
        {"crit": None},
        {"crit": "exp"},
        {"b64": False},
        {"b64": True},
        {"zip": "DEF"},
        {"zip": None},
        {"cty": "JWT"},
        {"cty": ""},
        {"enc": "A256GCM"},
        {"epk": {}},
        {"p2c": 2**31},
        {"iss": GOOD_CLAIMS["iss"]},
        {"exp": GOOD_CLAIMS["exp"]},
        {"": ""},
        {"KID": "own"},
        {"Alg": "none"},
        {"__proto__": {"alg": "none"}},
        {"x": None},
    ]
    for each in members:
        yield json.dumps(each), each


def _key_ids(book: Book) -> None:
    for kind in ("ES256", "EdDSA"):
        kid = own(kind).kid
        ids: list[Any] = [
            "../../../../dev/null",
            "/etc/passwd",
            "own' OR '1'='1",
            "'; DROP TABLE users; --",
            "k" * 2000,
        ]
        ids += [kid + "\0", "\0" + kid, kid + " ", kid.upper(), kid[:-1], kid + "x", "", "unknown", "$(id)", "%00", "*"]
        ids += ["\ud800", "\N{CYRILLIC SMALL LETTER O}" + kid[1:], "own-%", kid + "\n", "__proto__", "constructor"]
        ids += ["toString", "hasOwnProperty", "http://127.0.0.1:9/key", "0", "-1", "null", "true", "undefined"]
        ids += [None, 0, 1.5, -1, True, False, [kid], {"kid": kid}, [], {}, [[kid]]]
        for each in ids:
            shown = json.dumps(each) if not isinstance(each, str) or len(each) < 100 else "of 2,000 characters"
            text = token(header=own(kind).header(kid=each), key=own(kind))
            book.refuses(f"the key id {shown} in a token of {kid} is refused", "T4", text)
    long = token(header=own("ES256").header(kid="k" * 100_000))
    book.refuses("a key id of 100,000 characters is refused", "T4 T9", long)


def _malformed() -> Iterator[tuple[str, bytes]]:
    good = own("ES256").header()
    text = json.dumps(good)
    for name, value in good.items():
        yield f"without {name}", to_json({other: v for other, v in good.items() if other != name})
        yield f"with {name} twice", text.replace("}", f', "{name}": "{value}"}}').encode()
        yield f"with {name} twice, once as null", text.replace("{", f'{{"{name}": null, ').encode()
        escaped = f"\\u{ord(name[0]):04x}{name[1:]}"
        yield f"with {name} twice, once in escapes", text.replace("}", f', "{escaped}": "{value}"}}').encode()
        yield f"with {name} in capitals", text.replace(f'"{name}"', f'"{name.upper()}"').encode()
        yield f"with {name} and {name} in capitals", text.replace("}", f', "{name.upper()}": "{value}"}}').encode()
        yield f"with {name} as null", to_json(good | {name: None})
        yield f"with {name} as a list", to_json(good | {name: [value]})
    yield "with none before the algorithm", text.replace("{", '{"alg": "none", ').encode()
    yield "with none after the algorithm", text.replace("}", ', "alg": "none"}').encode()
    yield "that has no members", b"{}"
    for other in ("[]", "null", "1", '""', "true", f"[{text}]", json.dumps(text)):
        yield f"that is {other[:12]}", other.encode()
    yield "followed by another", (text + text).encode()
    yield "followed by a letter", (text + "x").encode()
    yield "followed by a NUL", (text + "\0").encode()
    yield "followed by a bracket", (text + "}").encode()
    yield "after a comment", ("//\n" + text).encode()
    yield "with a comment inside", text.replace("{", "{/**/").encode()
    yield "with single quotes", text.replace('"', "'").encode()
    yield "with a comma at its end", text.replace("}", ",}").encode()
    yield "without its last bracket", text[:-1].encode()
    yield "with NaN for a type", text.replace('"at+jwt"', "NaN").encode()
    for codec in ("utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32-le"):
        yield f"in {codec}", text.encode(codec)
    yield "with a byte that is no UTF-8", text.encode().replace(b"own", b"own\xff")
    yield "with half a surrogate pair in bytes", text.encode().replace(b"own", b"\xed\xa0\x80")
    yield "with an overlong letter", text.encode().replace(b"own", b"\xc1\xafwn")
    yield "with a line end in a text", text.replace("own", "own\n").encode()


def _types(book: Book) -> None:
    types: list[Any] = ["JWT", "jwt", "at+JWT", "AT+JWT", "At+jwt", "at+jwt ", " at+jwt", "at jwt", "at%2Bjwt", ""]
    types += [
        "application/at+jwt",
        "APPLICATION/AT+JWT",
        "at+jwt;v=1",
        "at+jwt\0",
        "at＋jwt",
        "at+jw",
        "at+jwts",
        "JOSE",
    ]
    types += ["refresh+jwt", "reset+jwt", "mfa+jwt", "email+jwt", "logout+jwt", "secevent+jwt", "dpop+jwt", "id+jwt"]
    types += [
        "service+jwt",
        "rt+jwt",
        "token-introspection+jwt",
        "vc+jwt",
        None,
        True,
        1,
        ["at+jwt"],
        {"typ": "at+jwt"},
    ]
    for typ in types:
        for kind in ALGORITHMS if isinstance(typ, str) and "+" in typ else ("ES256",):
            text = token(header=own(kind).header(typ=typ), key=own(kind))
            book.refuses(f"a token of our {kind} key with the type {json.dumps(typ)} is refused", "T4 T7", text)
    refresh = "rt1." + b64(hashlib.sha512(b"refresh").digest() + b"r" * 4)
    book.refuses("a refresh token is no access token", "T7", refresh)
    book.refuses("a refresh token with a third part is no access token", "T7", refresh + ".AA")
    book.refuses("an access token behind the mark of refresh tokens is refused", "T7", "rt1." + token())
    book.refuses("an access token inside another is refused", "T7", token(token().encode()))
