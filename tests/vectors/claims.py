"""Every claim is required, has one type and is compared exactly, however well the token is signed (T5, T8)."""

import json
from collections.abc import Iterator

from tests.vectors.book import AUDIENCE, GOOD_CLAIMS, ISSUER, NOW, OTHER_USER, Book, claims, claims_with, to_json, token
from tests.vectors.keys import own

TEXTS = ("iss", "aud", "client_id", "jti", "preferred_username")
IDS = ("sub", "sid")
TIMES = ("exp", "iat", "nbf", "auth_time")
LISTS = ("amr", "roles")
DAY = 86_400

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
    '"0191d5a5-0000-7000-8000-00000000001"',
    '"0191d5a5-0000-7000-8000-0000000000011"',
    '"0191d5a5-0000-7000-8000-00000000000g"',
    '"0191d5a-50000-7000-8000-000000000001"',
    '"0191d5a5_0000_7000_8000_000000000001"',
    '"٠191d5a5-0000-7000-8000-000000000001"',
]
NO_TIME = [
    *NO_CLAIM,
    f'"{NOW}"',
    f"{NOW}.0",
    f"{NOW}e0",
    f"{NOW}E+0",
    f"[{NOW}]",
    '""',
    "[]",
    "253402300800",
    "9" * 18,
    "9" * 19,
    "9" * 2000,
    "1e308",
    '"2026-01-01T12:00:00Z"',
]
NO_GENERATION = [
    *NO_CLAIM,
    '"3"',
    "3.0",
    "3e0",
    "[3]",
    '""',
    "[]",
    "2147483648",
    "4294967295",
    "4294967299",
    "-2147483648",
    "9" * 18,
    "9" * 19,
    "18446744073709551619",
]
NO_LIST = [*NO_CLAIM, '"pwd"', "0", "[1]", "[null]", '[""]', '[["pwd"]]', '["pwd",true]', r'["\ud800"]', '{"0":"pwd"}']
NO_LIST += ['["pwd",{}]', '["pwd","pwd",""]', '["pwd",]', "[,]"]

BAD_JSON = {
    "NaN": "NaN",
    "Infinity": "Infinity",
    "minus Infinity": "-Infinity",
    "a name twice": '{"a":1,"a":2}',
    "a name twice, once in escapes": r'{"a":1,"\u0061":2}',
    "__proto__ twice": '{"__proto__":1,"__proto__":2}',
    "an integer of 19 digits": "1" + "0" * 18,
    "a negative integer of 19 digits": "-1" + "0" * 18,
    "an integer of 31 digits": "1" + "0" * 30,
    "an integer of 2,000 digits": "9" * 2000,
    "a zero before a digit": "01",
    "a plus sign": "+1",
    "a hexadecimal number": "0x1",
    "a dot without a digit after it": "1.",
    "a dot without a digit before it": ".5",
    "an exponent without a digit": "1e",
    "a minus without a digit": "-",
    "an underscore in a number": "1_000",
    "single quotes": "'x'",
    "a name without quotes": "{a:1}",
    "a comma after the last item": "[1,]",
    "a comma after the last member": '{"a":1,}',
    "a missing comma": "[1 2]",
    "a missing value": '{"a":}',
    "a comment": "/**/1",
    "a line end in a text": '"a\nb"',
    "a NUL in a text": '"a\0b"',
    "an unknown escape": r'"\x41"',
    "an escape that is cut off": r'"\u00"',
    "an escape with other letters": r'"\u12g4"',
    "a text that does not end": '"x',
    "a list that does not end": "[",
    "a list that ends twice": "[]]",
    "True": "True",
    "undefined": "undefined",
    "nothing": "",
    "a no-break space": "\u00a01",
    "a form feed": "\f1",
}


def add_claims(book: Book) -> None:
    """Write all cases of this module."""
    _good(book)
    groups = ((TEXTS, NO_TEXT), (IDS, NO_ID), (TIMES, NO_TIME), (("gen",), NO_GENERATION), (LISTS, NO_LIST))
    assert {claim for names, _ in groups for claim in names} == set(GOOD_CLAIMS)
    for names, shapes in groups:
        for claim, shape in ((claim, shape) for claim in names for shape in shapes):
            state = "missing" if shape is None else _shown(shape)
            book.refuses(f"the claim {claim} is not accepted as {state}", "T5", token(claims_with(**{claim: shape})))
    for claim in GOOD_CLAIMS:
        for name, fragments in _twice(claim):
            book.refuses(f"the claim {claim} is not accepted {name}", "T5", token(claims_with(**fragments)))
    _nested(book)
    for name, payload in _dialects():
        book.refuses(f"claims {name} are refused", "T5", token(payload))
    _near_misses(book)
    _lives(book)
    _logins(book)


def _shown(shape: str) -> str:
    return ascii(shape)[1:-1] if len(shape) < 80 else f"a number of {len(shape):,} digits"


def _good(book: Book) -> None:
    good = {
        "no roles": claims_with(roles="[]"),
        "no authentication methods": claims_with(amr="[]"),
        "neither roles nor methods": claims_with(amr="[]", roles="[]"),
        "many roles": claims(roles=[f"role-{number}" for number in range(40)]),
        "roles that no rule can name": claims(roles=["Reader", "two words", "ä"]),
        "the lowest generation": claims(gen=0),
        "the highest generation": claims(gen=2**31 - 1),
        "an additional claim": claims(another="claim"),
        "additional claims of each type": claims(a=None, b=True, c=[1, [2]], d={"e": {}}, f=-1, g=""),
        "numbers with a fraction or an exponent in an additional claim": claims_with(a="[1.5,1e3,1E-2,-0.0,1e400]"),
        "18 digits in an additional claim": claims_with(a="9" * 18),
        "minus and 18 digits in an additional claim": claims_with(a="-" + "9" * 18),
        "names of claims inside an additional claim": claims(a={"sub": OTHER_USER, "roles": ["admin"]}, b=[{"exp": 0}]),
        "names of claims in capitals beside them": claims(SUB=OTHER_USER, Roles=["admin"], EXP=0, Gen=-1),
        "names of claims in letters that fold to them": claims(**{"ſub": OTHER_USER, "ſid": "x", "roleſ": 0}),
        "__proto__ as an additional claim": claims_with(__proto__=f'{{"sub":"{OTHER_USER}"}}', constructor="1"),
        "an empty name": claims_with(**{"": "1"}),
        "escapes in each name": claims_with(
            **{"sub": None, "exp": None, r"s\u0075b": json.dumps(GOOD_CLAIMS["sub"]), r"\u0065xp": str(NOW + 900)}
        ),
        "escapes in a value": claims_with(iss=json.dumps(ISSUER).replace("/", "\\/").replace("a", r"\u0061")),
        "a user name of other letters": claims_with(preferred_username='"Ádá \u202eЖ\U0001f600"'),
        "a surrogate pair in escapes": claims_with(preferred_username=r'"\ud83d\ude00"'),
        "spaces and line ends between them": json.dumps(GOOD_CLAIMS, indent="\t").replace("\n", "\r\n").encode(),
        "another order": to_json(dict(reversed(GOOD_CLAIMS.items()))),
        "a login long ago": claims(auth_time=0),
        "a login in the second of the token": claims(auth_time=NOW),
        "a login in the second before the token": claims(auth_time=NOW - 1),
        "a nbf long ago": claims(nbf=0),
    }
    for name, payload in good.items():
        book.accepts(f"claims with {name} are good", "T5", token(payload))


def _twice(claim: str) -> Iterator[tuple[str, dict[str, str | None]]]:
    value = json.dumps(GOOD_CLAIMS[claim])
    escaped = f"\\u{ord(claim[0]):04x}{claim[1:]}"
    yield "twice", {claim: f'{value},"{claim}":{value}'}
    yield "twice, first as null", {claim: f'null,"{claim}":{value}'}
    yield "twice, then as null", {claim: f'{value},"{claim}":null'}
    yield "twice, once in escapes", {claim: f'{value},"{escaped}":{value}'}
    yield "in capitals only", {claim: None, claim.upper(): value}
    yield "inside __proto__ only", {claim: None, "__proto__": f'{{"{claim}":{value}}}'}


def _nested(book: Book) -> None:
    for name, text in BAD_JSON.items():
        book.refuses(f"an additional claim with {name} makes the token bad", "T5", token(claims_with(another=text)))
        deeper = f'[0,{{"b":[{{"c":{text}}}]}}]'
        book.refuses(
            f"{name} deep inside an additional claim makes the token bad", "T5", token(claims_with(another=deeper))
        )


def _dialects() -> Iterator[tuple[str, bytes]]:
    text = claims().decode()
    for codec in ("utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "cp500"):
        yield f"in {codec}", text.encode(codec)
    yield "in Latin-1", text.replace("Ada", "Ad\xe4").encode("latin-1")
    yield "with half a surrogate pair in bytes", text.encode().replace(b"Ada", b"Ad\xed\xa0\x80")
    yield "with a surrogate pair in bytes (CESU-8)", text.encode().replace(b"Ada", b"\xed\xa0\xbd\xed\xb8\x80")
    yield "with an overlong letter", text.encode().replace(b"Ada", b"Ad\xc1\xa1")
    yield "with an overlong NUL", text.encode().replace(b"Ada", b"Ad\xc0\x80")
    yield "with a code point above U+10FFFF", text.encode().replace(b"Ada", b"Ad\xf4\x90\x80\x80")
    yield "with a letter that is cut off", text.encode().replace(b"Ada", b"Ad\xc3")
    yield "with a byte that begins nothing", text.encode().replace(b"Ada", b"Ad\x80")
    yield "with bad UTF-8 in an additional claim", claims_with(another='"x"').replace(b'"x"', b'"\xff"')
    yield "with bad UTF-8 in a name", claims_with(another='"x"').replace(b"another", b"another\xff")
    yield "with a byte-order mark inside", text.replace('{"iss"', '{\ufeff"iss"').encode()
    yield "followed by a NUL", text.encode() + b"\0"
    yield "followed by a letter", text.encode() + b"x"
    yield "followed by a bracket", text.encode() + b"}"
    yield "followed by a comma", text.encode() + b","
    yield "followed by other claims", text.encode() + claims(sub=OTHER_USER)
    yield "after other claims", claims(sub=OTHER_USER) + b"\n" + text.encode()
    yield "without the last bracket", text[:-1].encode()
    yield "without the first bracket", text[1:].encode()
    yield "in a list", f"[{text}]".encode()
    yield "in a text", json.dumps(text).encode()
    yield "in an object", f'{{"claims":{text}}}'.encode()
    yield "with single quotes", text.replace('"', "'").encode()
    yield "with a comma at the end", text.replace("}", ",}").encode()
    yield "with a comma at the beginning", text.replace("{", "{,").encode()
    yield "with a line end in a text", text.replace("Ada", "A\nda").encode()
    yield "with a tab in a text", text.replace("Ada", "A\tda").encode()
    yield "with a comment", text.replace("{", "{//\n").encode()
    yield "with names without quotes", text.replace('"sub"', "sub").encode()
    yield "with an equals sign", text.replace('"sub":', '"sub"=').encode()
    yield "that are an empty object", b"{}"
    yield "that are null", b"null"
    yield "that are a number", b"1"
    yield "that are an empty list", b"[]"
    yield "that are true", b"true"
    yield "that are a space", b" "
    yield "that are XML", b"<claims/>"
    yield "that are CBOR", b"\xa1\x01\x78\x14https://auth.example"


def _near_misses(book: Book) -> None:
    for claim, name in (("iss", ISSUER), ("aud", AUDIENCE)):
        misses: list[object] = [name[:-1], name[1:], name + "x", "x" + name, name + "/", name + " ", " " + name]
        misses += [name + "\0", name.upper(), name.title(), f"{name}.{name}", f"{name} {name}", name + "\n", "*", ""]
        misses += [name.replace("e", "е"), name + "\u200b", [name], [name, "other"], ["other", name], [], {"0": name}]
        misses += [{name: name}, name.replace("a", "a\u0301"), f"{name},other", "other", "null"]
        for miss in misses:
            text = token(claims(**{claim: miss}))
            book.refuses(f"the claim {claim} does not count as {json.dumps(miss)}", "T5 T8", text)
    for miss in ("http://auth.example", "https://auth.example:443", "https://auth.example/", "https://AUTH.example"):
        book.refuses(f"the issuer {miss} is another one", "T8", token(claims(iss=miss)))
    book.refuses("issuer and audience in each other's place are refused", "T8", token(claims(iss=AUDIENCE, aud=ISSUER)))
    both = token(claims(iss="https://auth.other", aud="billing"))
    book.refuses("a token of another issuer for another audience is refused", "T8", both)
    for kind in ("EdDSA", "RS256"):
        for claim in ("iss", "aud"):
            text = token(claims(**{claim: "other"}), key=own(kind))
            book.refuses(f"a token by {kind} with another {claim} is refused", "T8", text)


def _lives(book: Book) -> None:
    for name, life in {"a second": 1, "a day": DAY}.items():
        book.accepts(f"a token with a life of {name} is good", "T5", token(claims(exp=NOW + life)))
    for life in (0, -1, -3600, DAY + 1, 2 * DAY, 365 * DAY):
        book.refuses(f"a token with a life of {life:,} seconds is refused", "T5", token(claims(exp=NOW + life)))
    book.refuses("a token that ends at the end of the calendar is refused", "T5", token(claims(exp=253402300799)))
    book.refuses("a token that began in 1970 and has not ended is refused", "T5", token(claims(iat=0)))
    old = token(claims(iat=NOW - DAY - 1, nbf=NOW - DAY, exp=NOW))
    book.refuses("a life longer than a day is refused although the token is about to end", "T5", old)


def _logins(book: Book) -> None:
    for later in (1, 30, 31, 3600):
        text = token(claims(auth_time=NOW + later))
        book.refuses(f"a login {later:,} seconds later than the token is refused", "T5", text)
    for kind in ("EdDSA", "RS256"):
        text = token(claims(auth_time=NOW + 1), key=own(kind))
        book.refuses(f"a login a second later than a token by {kind} is refused", "T5", text)
    last = token(claims_with(auth_time="253402300799"))
    book.refuses("a login at the end of the calendar is refused", "T5", last)
    before = token(claims(iat=NOW - 60, nbf=NOW, auth_time=NOW - 59))
    book.refuses("a login between iat and nbf is refused", "T5", before)
