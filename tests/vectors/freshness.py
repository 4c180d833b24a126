"""Which view is young enough, and what is decided by Verify where none is or the token cannot be read (step 6)."""

from collections.abc import Callable
from typing import Any

from tests.vectors.answers import ANSWERS, UNAVAILABLE, identity, refused
from tests.vectors.book import AUTHENTICATED, ISSUER, NOW, OTHER_USER, Book, b64, claims, to_json, token
from tests.vectors.keys import own, stranger

FRESH, KEYS_LAST = 10, 3600
"""Seconds: the default `max_staleness`, which is also how old a view may be to judge an unknown kid; `max_key_age`."""


def add_freshness(book: Book) -> None:
    """Write all cases of this module."""
    _freshness(book)
    _verify_alone(book)
    _foreign(book)
    _never_good(book)


def _freshness(book: Book) -> None:
    good = book.good()
    for age in (0, 1, FRESH - 1, FRESH):
        book.accepts(f"a view of {age} seconds is young enough", "step-6", good, view_age=age)
    limits: list[tuple[str, dict[str, Any], int | None]] = [
        (f"a view of {FRESH + 1} seconds", AUTHENTICATED, FRESH + 1),
        ("a view of a minute", AUTHENTICATED, 60),
        ("no view", AUTHENTICATED, None),
        ("a view of 3 seconds where 2 are allowed", _staleness("2s"), 3),
        ("a view of 1 second where half a second is allowed", _staleness("0.500s"), 1),
        ("a view of 1 second where less is allowed", _staleness("0.999999999s"), 1),
        ("a view of 31 seconds where 30 are allowed", _staleness("30s"), 31),
        ("a fresh view where none is fresh enough", _staleness("0s"), 0),
        ("a view of a second where none is fresh enough", _staleness("0s"), 1),
        ("no view where any is fresh enough", _staleness("315576000000s"), None),
    ]
    for name, rule, view_age in limits:
        setting: dict[str, Any] = {"rule": rule, "view_age": view_age, "key_age": 0}
        book.accepts(
            f"with {name} Verify is asked, and its identity counts", "step-6", good, verify=identity(), **setting
        )
        for reason in ANSWERS:
            book.refuses(
                f"with {name} Verify is asked, and its {reason} counts",
                "step-6",
                good,
                reason,
                verify=refused(reason),
                **setting,
            )
        lost = f"with {name} and without an answer of Verify the call is refused"
        book.refuses(lost, "step-6", good, "VERIFICATION_UNAVAILABLE", verify=UNAVAILABLE, **setting)
    fresh = [("2s", 2), ("30s", 11), ("30s", 30), ("0.500s", 0), ("0.000000001s", 0), ("10s", 10), ("3600s", 3600)]
    for staleness, age in [*fresh, ("315576000000s", 3600)]:
        name = f"a view of {age} seconds is young enough where {staleness} are allowed"
        book.accepts(name, "step-6", good, view_age=age, rule=_staleness(staleness))
    book.accepts("a view of a day is young enough where a week is allowed, with new keys", "step-6", good,
                 view_age=86_400, key_age=0, rule=_staleness("604800s"))  # fmt: skip
    for view_age in (FRESH + 1, 600, None):
        setting = {"view_age": view_age, "key_age": 0}
        shown = "no view" if view_age is None else f"a view of {view_age} seconds"
        book.refuses(
            f"a forged token is refused without asking with {shown}",
            "step-3 step-6",
            token(key=stranger("ES256")),
            **setting,
        )
        wrong = book.named("another audience", token(claims(aud="billing")))
        book.refuses(
            f"a token for another audience is refused without asking with {shown}", "step-3 step-6", wrong, **setting
        )


def _staleness(limit: str) -> dict[str, Any]:
    return {"authenticated": True, "maxStaleness": limit}


def _verify_alone(book: Book) -> None:
    """Write cases that only Verify can judge: no keys, a shared secret, old keys, an unknown key in an old view."""
    good, unknown = book.good(), book.named("unknown key", token(header=own("ES256").header(kid="new-key")))
    secret = book.named("shared secret", _by_secret(claims()))
    situations: list[tuple[str, Any, dict[str, Any]]] = [
        ("no keys and no view", good, {"keys": None, "view_age": None}),
        ("no keys and a fresh view", good, {"keys": None, "view_age": 0}),
        ("a shared secret and a fresh view", secret, {"keys": "shared secret"}),
        ("a shared secret and an old view", secret, {"keys": "shared secret", "view_age": 60}),
        ("keys older than an hour and a fresh view", good, {"key_age": KEYS_LAST + 1}),
        ("keys and a view older than an hour", good, {"view_age": KEYS_LAST + 1}),
        (
            "keys older than an hour and a view that the rule takes",
            good,
            {"view_age": KEYS_LAST + 1, "rule": _staleness("86400s")},
        ),
        ("an unknown key and a view of 11 seconds", unknown, {"view_age": FRESH + 1}),
        ("an unknown key and keys of 11 seconds", unknown, {"key_age": FRESH + 1}),
        ("an unknown key and no view", unknown, {"view_age": None, "key_age": 0}),
        (
            "an unknown key and a view of 11 seconds that the rule takes",
            unknown,
            {"view_age": FRESH + 1, "rule": _staleness("30s")},
        ),
        ("a key that is gone and a view of 11 seconds", good, {"view_age": FRESH + 1, "keys": "own without ES256"}),
    ]
    for name, text, setting in situations:
        book.accepts(
            f"with {name} Verify decides, and its identity counts", "step-6", text, verify=identity(), **setting
        )
        for reason in ANSWERS:
            book.refuses(
                f"with {name} Verify decides, and its {reason} counts",
                "step-6",
                text,
                reason,
                verify=refused(reason),
                **setting,
            )
        lost = f"with {name} and without an answer of Verify the call is refused"
        book.refuses(lost, "step-6", text, "VERIFICATION_UNAVAILABLE", verify=UNAVAILABLE, **setting)
    other = identity(userId=OTHER_USER)
    book.accepts("with an unknown key the user is the one that Verify names", "step-6", unknown, user_id=OTHER_USER,
                 view_age=60, verify=other)  # fmt: skip
    for age in (0, FRESH):
        book.refuses(
            f"an unknown key is refused without asking by a view of {age} seconds", "step-3", unknown, view_age=age
        )
    zero = _staleness("0s")
    book.refuses(
        "an unknown key in a fresh view is refused without asking where the rule wants Verify",
        "step-3",
        unknown,
        rule=zero,
    )
    book.accepts("keys of an hour are young enough", "step-3", good, key_age=KEYS_LAST)
    book.accepts("the age of the keys does not make the view older", "step-3", good, key_age=600, view_age=FRESH)


def _by_secret(payload: bytes) -> str:
    """Return a token that is signed with a shared secret, as far as anybody can tell who does not have it."""
    header = {"alg": "HS256", "kid": "secret", "typ": "at+jwt"}
    return f"{b64(to_json(header))}.{b64(payload)}.{b64(bytes(range(32)))}"


def _foreign(book: Book) -> None:
    """Write cases of tokens that Verify would vouch for, and that are not for this service."""
    unknown = own("ES256").header(kid="new-key")
    situations: list[tuple[str, Callable[[bytes], str], dict[str, Any]]] = [
        ("a shared secret", _by_secret, {"keys": "shared secret"}),
        ("a shared secret and an old view", _by_secret, {"keys": "shared secret", "view_age": 60}),
        ("no keys", token, {"keys": None, "view_age": None}),
        ("old keys", token, {"key_age": KEYS_LAST + 1}),
        ("an unknown key", lambda payload: token(payload, header=unknown), {"view_age": FRESH + 1}),
    ]
    foreign: dict[str, dict[str, Any]] = {
        "for another audience": {"aud": "billing"},
        "for an audience in capitals": {"aud": "INTERNAL"},
        "for a list of audiences": {"aud": ["internal"]},
        "for the issuer": {"aud": ISSUER},
        "without an audience": {"aud": ""},
        "of another issuer": {"iss": "https://auth.other"},
        "of an issuer with a slash": {"iss": f"{ISSUER}/"},
        "of another issuer for another audience": {"iss": "https://auth.other", "aud": "billing"},
        "with a life of two days": {"exp": NOW + 2 * 86_400},
        "with a login later than itself": {"auth_time": NOW + 1},
        "without a session": {"sid": ""},
    }
    for where, made, setting in situations:
        for name, changes in foreign.items():
            text = made(claims(**changes))
            book.refuses(f"a token {name} is refused without asking with {where}", "T8 step-3", text, **setting)


def _never_good(book: Book) -> None:
    """Write cases of tokens that no key could make good: they are refused before any key is looked for."""
    signer = own("ES256")
    for name, text in (
        ("without a dot", "x"),
        ("of 4,097 bytes", {"repeat": "A", "times": 4097}),
        ("with a line end behind it", token() + "\n"),
        ("with another type", book.named("another type", token(header=signer.header(typ="JWT")))),
        (
            "with another member in its header",
            book.named("jku", token(header=signer.header(jku="http://127.0.0.1:9/"))),
        ),
        ("without a kid", book.named("no kid", token(header={"alg": "ES256", "typ": "at+jwt"}))),
        ("with bad JSON in its header", book.named("bad header", token(header=b"{"))),
    ):
        for where, setting in (
            ("no keys are", {"keys": None, "view_age": None}),
            ("a secret is", {"keys": "shared secret"}),
        ):
            book.refuses(
                f"a token {name} is refused without asking where {where} known", "step-3 step-6", text, **setting
            )
        book.refuses(
            f"a token {name} is refused without asking where the keys are old",
            "step-3 step-6",
            text,
            key_age=KEYS_LAST + 1,
        )
