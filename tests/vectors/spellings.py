"""A good token has one spelling; and texts that would cost too much to read are refused unread (T6, T9)."""

import json
import string
from collections.abc import Iterator
from typing import Any

from tests.vectors.answers import identity
from tests.vectors.book import Book, b64, claims_with, to_json, token, unb64
from tests.vectors.keys import own

BASE64URL = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
JUNK = {
    "a line end": "\n",
    "CR and LF": "\r\n",
    "a space": " ",
    "a tab": "\t",
    "a NUL": "\0",
    "%3D": "%3D",
    "a byte-order mark": "\ufeff",
    "a zero-width space": "\u200b",
    "a dot": ".",
    "a comma": ",",
    "an equals sign": "=",
}
LONGEST = 4096
DEEPEST = 32
"""Levels of lists and objects, of which the object itself is the first."""
NESTS = {"lists": ("[", "]"), "objects": ('{"a":', "}"), "lists and objects": ('[0,{"a":', "}]")}
"""How a level may begin and end; of the last, two levels."""


def add_spellings(book: Book) -> None:
    """Write all cases of this module."""
    good = _with_unused_bits()
    book.named("unused bits", good)
    for part, text in zip(("header", "claims", "signature"), good.split("."), strict=True):
        book.named(f"{part} with unused bits", text)
    book.accepts("a token with unused bits in each part is good", "T6", good)
    for name, text in _everything(good):
        book.refuses(f"a good token {name} is refused", "T6", text)
    for kind in ("EdDSA", "RS256"):
        for name, text in _common(token(key=own(kind))):
            book.refuses(f"a good token by {kind} {name} is refused", "T6", text)
    _long(book)
    _hostile(book)


def _with_unused_bits() -> str:
    """Return a token whose parts all end in a character that could have been another one."""
    header = to_json(own("ES256").header())
    for padding in range(3):
        for spaces in range(3):
            text = token(
                claims_with(padding=f'"{"~?" * 9}{"x" * padding}"'), header.replace(b",", b" " * spaces + b",", 1)
            )
            if all(len(part) % 4 for part in text.split(".")) and set("-_") <= set(text):
                return text
    raise AssertionError


def _everything(text: str) -> Iterator[tuple[str, str]]:
    yield from _common(text)
    parts = text.split(".")
    for position, name in enumerate(("header", "payload", "signature")):
        part = parts[position]

        def with_part(other: str, position: int = position) -> str:
            return ".".join((*parts[:position], other, *parts[position + 1 :]))

        for last in BASE64URL:
            same = unb64(part[:-1] + last) == unb64(part)
            if same and last != part[-1]:
                yield f"with other unused bits in its {name}, {last}", with_part(part[:-1] + last)
        for junk_name, junk in JUNK.items():
            yield f"with {junk_name} before its {name}", with_part(junk + part)
            yield f"with {junk_name} after its {name}", with_part(part + junk)
            yield f"with {junk_name} inside its {name}", with_part(part[:7] + junk + part[7:])
        yield f"with a full-width letter in its {name}", with_part(part[:5] + chr(ord(part[5]) + 0xFEE0) + part[6:])
        yield f"with A after its {name}", with_part(part + "A")
        yield f"with AA after its {name}", with_part(part + "AA")
        yield f"with AAA after its {name}", with_part(part + "AAA")
        yield f"without the last character of its {name}", with_part(part[:-1])
        yield f"without its {name}", with_part("")
        yield f"with its {name} in standard base64 and padding", with_part(_standard(part))
        yield f"with its {name} in percent escapes", with_part("".join(f"%{ord(char):02X}" for char in part))
        yield f"with its {name} in hexadecimal", with_part(unb64(part).hex())
        yield f"with its {name} encoded twice", with_part(b64(part.encode()))
        yield f"with its {name} in capitals", with_part(part.upper())
        yield f"with its {name} in small letters", with_part(part.lower())
        yield f"with its {name} twice", with_part(f"{part}.{part}")
        if set(part) & set("-_"):
            yield f"with + and / in its {name}", with_part(part.replace("-", "+").replace("_", "/"))


def _standard(part: str) -> str:
    return part.replace("-", "+").replace("_", "/") + "=" * (-len(part) % 4)


def _common(text: str) -> Iterator[tuple[str, str]]:
    parts = text.split(".")
    yield "with one equals sign at its end", text + "="
    yield "with two equals signs at its end", text + "=="
    yield "with three equals signs at its end", text + "==="
    yield "with the right padding in each part", ".".join(part + "=" * (-len(part) % 4) for part in parts)
    yield "with + and / for - and _", text.replace("-", "+").replace("_", "/")
    yield "in capitals", text.upper()
    yield "in small letters", text.lower()
    yield "with its case swapped", text.swapcase()
    yield "with a dot at its end", text + "."
    yield "with a dot before it", "." + text
    yield "with a fourth part", text + ".e30"
    yield "with five parts", f"{parts[0]}..{parts[1]}.{parts[2]}."
    yield "with two dots between its parts", text.replace(".", "..")
    yield "with commas for dots", text.replace(".", ",")
    yield "with full-width dots", text.replace(".", "．")
    yield "with percent escapes for dots", text.replace(".", "%2E")
    yield "with a line end at its end", text + "\n"
    yield "with CR and LF at its end", text + "\r\n"
    yield "with a line end before it", "\n" + text
    yield "with a space at its end", text + " "
    yield "with a space before it", " " + text
    yield "with a NUL at its end", text + "\0"
    yield "folded into lines of 76 characters", "\n".join(text[n : n + 76] for n in range(0, len(text), 76))
    yield "with Bearer before it", "Bearer " + text
    yield "in single quotes", f"'{text}'"
    yield "in double quotes", f'"{text}"'
    yield "in angle brackets", f"<{text}>"
    yield "twice with a comma", f"{text},{text}"
    yield "twice with a space", f"{text} {text}"
    yield "with parameters", f"{text}; v=1"
    yield "as base64url of its text", b64(text.encode())
    yield "without its first character", text[1:]
    yield "without its last character", text[:-1]


def _padded(length: int) -> str:
    """Return a good token of exactly so many characters."""
    header = to_json(own("ES256").header())
    for spaces in range(3):
        empty = len(token(claims_with(padding='""'), header.replace(b",", b" " * spaces + b",", 1)))
        for letters in range((length - empty) * 3 // 4 - 4, (length - empty) * 3 // 4 + 4):
            text = token(claims_with(padding=f'"{"x" * letters}"'), header.replace(b",", b" " * spaces + b",", 1))
            if len(text) == length:
                return text
    raise AssertionError(length)


def _long(book: Book) -> None:
    book.accepts("a good token of 4,096 bytes is accepted", "T9", _padded(LONGEST))
    for more in (1, 2, 4, 1000):
        book.refuses(f"a good token of {LONGEST + more:,} bytes is refused", "T9", _padded(LONGEST + more))


def _hostile(book: Book) -> None:
    for text, times in (
        (".", 2),
        (".", LONGEST),
        (".", LONGEST + 1),
        (".", 1_000_000),
        ("A", LONGEST),
        ("A", LONGEST + 1),
        ("A", 1_000_000),
        ("A.", 1_000_000),
        ("e30.", 3),
        ("eyJhbGciOiJub25lIn0.", 50_000),
        ("[", 100_000),
        ("\0", 1000),
        ("=", 1000),
        ("é", 2048),
        ("é", 3000),
        ("W1tb", 33_334),
    ):
        shown = ascii(text)[1:-1]
        book.refuses(f"{times:,} times {shown} is refused", "T9", {"repeat": text, "times": times})
    blanks = {"repeat": " ", "times": 1000}
    book.refuses("1,000 blanks in place of a token are refused as none", "T9", blanks, "TOKEN_MISSING")
    signature = token().split(".")[2]
    payload = b64(to_json({}))
    book.refuses("a signed payload of 100,000 open lists is refused", "T9", token(b"[" * 100_000))
    book.refuses("open lists as deep as fit in a header are refused", "T9", f"{b64(b'[' * 2900)}.{payload}.{signature}")
    book.refuses("open objects as deep as fit in a header are refused", "T9", b64(b'{"a":' * 500) + f".{payload}.AA")
    book.refuses("open lists as deep as fit in a signed payload are refused", "T9", token(b"[" * 2800))
    payloads = {
        "lists as deep as fit for roles": claims_with(roles="[" * 1100 + "]" * 1100),
        "objects as deep as fit for a time": claims_with(exp='{"a":' * 350 + "1" + "}" * 350),
        "an exp of 2,300 digits": claims_with(exp="9" * 2300),
        "a gen of 2,300 digits": claims_with(gen="1" + "0" * 2299),
        "an exp with 2,300 decimals": claims_with(exp="1." + "9" * 2300),
        "a huge exponent": claims_with(exp="1e999999999"),
        "a tiny exponent": claims_with(iat="1e-999999999"),
        "an integer of 2,300 digits in an additional claim": claims_with(another="9" * 2300),
        "an integer of 5,000 digits": claims_with(exp="9" * 5000),
    }
    for name, each in payloads.items():
        book.refuses(f"a signed token with {name} is refused", "T9", token(each))
    _deep(book, signature)
    many = to_json({str(number): 0 for number in range(350)})
    book.refuses("a header of 350 members is refused", "T9", f"{b64(many)}.{payload}.{signature}")


def _nest(kind: str, levels: int) -> str:
    """Return a value of so many levels."""
    opening, closing = NESTS[kind]
    times = levels // (opening.count("[") + opening.count("{"))
    return opening * times + "0" + closing * times


def _deep(book: Book, signature: str) -> None:
    for levels in (30, DEEPEST - 1):
        for kind in NESTS if levels % 2 == 0 else ("lists", "objects"):
            book.accepts(f"{levels} levels of {kind} in a claim are accepted", "T9", token(_deep_claims(kind, levels)))
    for levels in (DEEPEST, DEEPEST + 8, 100, 980):
        for kind in NESTS:
            if levels < 100 or kind == "lists":
                book.refuses(
                    f"{levels} levels of {kind} in a claim are refused", "T9", token(_deep_claims(kind, levels))
                )
    for kind in ("EdDSA", "RS256"):
        text = token(_deep_claims("lists", DEEPEST), key=own(kind))
        book.refuses(f"32 levels in a claim by {kind} are refused", "T9", text)
    flat = {
        "brackets in a text": json.dumps("[{" * 100 + '"' + "[" * 100),
        "brackets behind a backslash in a text": json.dumps("\\" + "[" * 100),
        "a hundred lists side by side": "[" + ",".join(["[]"] * 100) + "]",
        "a hundred objects side by side": "[" + ",".join(['{"a":[{}]}'] * 100) + "]",
        "lists of 31 levels side by side": ",".join(["[" + _nest("lists", 30)] + [_nest("lists", 30)] * 5) + "]",
    }
    for name, value in flat.items():
        book.accepts(f"{name} are not deep", "T9", token(claims_with(another=value)))
    beside = "[" + '"[]","{}",' * 20 + "[]," * 40 + _nest("lists", DEEPEST) + "]"
    book.refuses(
        "levels that are too many behind much that is flat are refused", "T9", token(claims_with(another=beside))
    )
    asked: dict[str, dict[str, Any]] = {
        "no key is known": {"keys": None},
        "a secret is shared": {"keys": "shared secret"},
    }
    for where, setting in asked.items():
        text = token(_deep_claims("lists", DEEPEST - 1))
        book.accepts(
            f"31 levels in a claim are Verify's to judge where {where}", "T9", text, verify=identity(), **setting
        )
        text = token(_deep_claims("lists", DEEPEST))
        book.refuses(f"32 levels in a claim are refused without asking where {where}", "T9", text, **setting)
        for name, head in _deep_headers().items():
            text = f"{b64(head)}.{b64(claims_with())}.{signature}"
            book.refuses(f"a header with {name} is refused without asking where {where}", "T9", text, **setting)
    for name, head in _deep_headers().items():
        if len(token(header=head)) <= LONGEST:
            book.refuses(f"a signed header with {name} is refused", "T9", token(header=head))
        book.refuses(f"an unsigned header with {name} is refused", "T9", f"{b64(head)}.e30.AA")


def _deep_claims(kind: str, levels: int) -> bytes:
    return claims_with(another=_nest(kind, levels))


def _deep_headers() -> dict[str, bytes]:
    good = to_json(own("ES256").header())
    return {
        "2,600 open lists in a member": b'{"kid":' + b"[" * 2600,
        "2,600 open lists in another member": good.replace(b"}", b',"a":' + b"[" * 2600),
        "400 open objects in a member": b'{"alg":' * 400,
        "32 levels in a member": good.replace(b'"at+jwt"', _nest("lists", DEEPEST).encode()),
        "31 levels in another member": good.replace(b"}", b',"a":' + _nest("lists", DEEPEST - 1).encode() + b"}"),
    }
