"""Which rules are good, and methods that have none or let everybody pass (step 1)."""

from collections.abc import Iterator
from typing import Any

from tests.vectors.answers import ended
from tests.vectors.book import NOW, USER, Book, token
from tests.vectors.keys import stranger

LONGEST = "315576000000s"
"""The longest Duration that Protobuf knows: 10,000 years."""


def add_rules(book: Book) -> None:
    """Write all cases of this module."""
    for name, good in GOOD_RULES.items():
        book.rule(f"a rule with {name} is good", good, accepted=True)
    for name, bad in _bad_rules():
        book.rule(f"a rule with {name} is refused", bad, accepted=False)
        refused_to = {"a good token": book.good(), "no token": None}
        for caller, text in refused_to.items():
            book.refuses(
                f"a method whose rule has {name} refuses {caller}", "step-1", text, "METHOD_WITHOUT_RULE", rule=bad
            )
    _no_rule(book)
    _public(book)


GOOD_RULES: dict[str, dict[str, Any]] = {
    "public": {"public": True},
    "public and everything else said to be unset": {"public": True, "authenticated": False, "anyRole": []},
    "authenticated": {"authenticated": True},
    "authenticated and public said to be unset": {"authenticated": True, "public": False},
    "one role": {"anyRole": ["reader"]},
    "two roles": {"anyRole": ["reader", "writer"]},
    "a role of one letter": {"anyRole": ["a"]},
    "a role of 64 characters": {"anyRole": ["r" * 64]},
    "a role of every kind of character": {"anyRole": ["a-z.0_9"]},
    "a role that ends in a dot": {"anyRole": ["a."]},
    "two roles of which one begins with the other": {"anyRole": ["read", "reader"]},
    "authenticated and mfa": {"authenticated": True, "mfa": True},
    "authenticated and max_auth_age": {"authenticated": True, "maxAuthAge": "900s"},
    "a max_auth_age of a second": {"authenticated": True, "maxAuthAge": "1s"},
    "the longest max_auth_age": {"authenticated": True, "maxAuthAge": LONGEST},
    "authenticated and max_staleness": {"authenticated": True, "maxStaleness": "2s"},
    "a max_staleness of zero": {"authenticated": True, "maxStaleness": "0s"},
    "a max_staleness of a fraction of a second": {"authenticated": True, "maxStaleness": "0.000000001s"},
    "the longest max_staleness": {"authenticated": True, "maxStaleness": LONGEST},
    "authenticated and observe": {"authenticated": True, "observe": True},
    "everything beside authenticated": {
        "authenticated": True, "mfa": True, "maxAuthAge": "60s", "maxStaleness": "1.500s", "observe": True,
    },
    "everything beside a role": {
        "anyRole": ["admin"], "mfa": True, "maxAuthAge": "60s", "maxStaleness": "0s", "observe": True,
    },
}  # fmt: skip

NO_ROLES = [
    "",
    "Reader",
    "READER",
    "1reader",
    "_reader",
    "-reader",
    ".reader",
    " reader",
    "reader ",
    "rea der",
    "reader\n",
]
NO_ROLES += [
    "reader\0",
    "réader",
    "ｒeader",
    "reader\u200b",
    "a/b",
    "a:b",
    "a*",
    "*",
    "a,b",
    "a+b",
    "a@b",
    "r" * 65,
    "r" * 1000,
]


def _bad_rules() -> Iterator[tuple[str, dict[str, Any]]]:
    narrowing: dict[str, dict[str, Any]] = {
        "mfa": {"mfa": True},
        "max_auth_age": {"maxAuthAge": "900s"},
        "max_staleness": {"maxStaleness": "10s"},
        "a max_staleness of zero": {"maxStaleness": "0s"},
        "observe": {"observe": True},
    }
    yield "nothing in it", {}
    yield "everything said to be unset", {"public": False, "authenticated": False, "anyRole": [], "observe": False}
    yield "public and authenticated", {"public": True, "authenticated": True}
    yield "public and a role", {"public": True, "anyRole": ["reader"]}
    yield "authenticated and a role", {"authenticated": True, "anyRole": ["reader"]}
    yield "public, authenticated and a role", {"public": True, "authenticated": True, "anyRole": ["reader"]}
    for name, fields in narrowing.items():
        yield f"{name} alone", fields
        yield f"public and {name}", {"public": True} | fields
    yield "mfa, max_auth_age, max_staleness and observe alone", narrowing["mfa"] | narrowing["max_auth_age"] | {
        "maxStaleness": "10s", "observe": True,
    }  # fmt: skip
    yield "public, authenticated and observe", {"public": True, "authenticated": True, "observe": True}
    for role in NO_ROLES:
        shown = ascii(role) if len(role) < 65 else f"of {len(role):,} letters"
        yield f"the role {shown}", {"anyRole": [role]}
    yield "a bad role behind a good one", {"anyRole": ["reader", "Writer"]}
    yield "an empty role behind a good one", {"anyRole": ["reader", ""]}
    yield "a role twice", {"anyRole": ["reader", "reader"]}
    yield "a role twice among others", {"anyRole": ["reader", "writer", "admin", "writer"]}
    ages = {"of zero": "0s", "below zero": "-1s", "of a second and a half": "1.500s", "of half a second": "0.500s"}
    ages |= {"of 900 seconds and a nanosecond": "900.000000001s", "of less than zero by a nanosecond": "-0.000000001s"}
    ages |= {
        "of a nanosecond": "0.000000001s",
        "far below zero": "-315576000000s",
        "of minus a second and a half": "-1.500s",
    }
    for name, age in ages.items():
        yield f"a max_auth_age {name}", {"authenticated": True, "maxAuthAge": age}
        yield f"a role and a max_auth_age {name}", {"anyRole": ["reader"], "maxAuthAge": age}
    for name, limit in {
        "below zero": "-1s",
        "below zero by a nanosecond": "-0.000000001s",
        "far below zero": "-315576000000s",
    }.items():
        yield f"a max_staleness {name}", {"authenticated": True, "maxStaleness": limit}
        yield f"a role and a max_staleness {name}", {"anyRole": ["reader"], "maxStaleness": limit}
    yield "observe and a contradiction", {"authenticated": True, "anyRole": ["reader"], "observe": True}


def _no_rule(book: Book) -> None:
    good = book.good()
    for name, text in {"a good token": good, "no token": None, "a bad token": "x"}.items():
        book.refuses(f"a method without a rule refuses {name}", "step-1", text, "METHOD_WITHOUT_RULE", rule=None)
    book.refuses(
        "a method without a rule asks nobody",
        "step-1",
        good,
        "METHOD_WITHOUT_RULE",
        rule=None,
        keys=None,
        view_age=None,
    )
    late: dict[str, Any] = {"rule": {}, "now": NOW + 9999}
    book.refuses(
        "a method without a rule refuses an expired token for lack of a rule",
        "step-1",
        good,
        "METHOD_WITHOUT_RULE",
        **late,
    )


def _public(book: Book) -> None:
    public: dict[str, Any] = {"rule": {"public": True}, "user_id": None}
    texts: dict[str, Any] = {
        "no token": None,
        "a good token": book.good(),
        "garbage for a token": "garbage",
        "an empty token": "",
        "a forged token": token(key=stranger("ES256")),
        "a megabyte of dots": {"repeat": ".", "times": 1_000_000},
    }
    for name, text in texts.items():
        book.accepts(f"a public method passes {name}, without an identity", "step-1", text, **public)
    book.accepts("a public method passes an expired token", "step-1", book.good(), now=NOW + 9999, **public)
    book.accepts(
        "a public method passes a token of a session that has ended",
        "step-1",
        book.good(),
        revocations=[ended()],
        **public,
    )
    book.accepts("a public method asks nobody", "step-1", book.good(), keys=None, view_age=None, **public)
    metadata = [["authorization", "Bearer x"], ["authorization", "Basic y"], ["x-user-id", USER]]
    book.accepts(
        "a public method passes two authorization entries and no identity", "step-1", metadata=metadata, **public
    )
