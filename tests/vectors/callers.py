"""What a rule asks of the caller: a role, a second factor, a recent login, alone and together (step 7)."""

from typing import Any

from tests.vectors.answers import UNAVAILABLE, ended, identity, outdated, refused, timestamp
from tests.vectors.book import NOW, OTHER_USER, Book, claims, token
from tests.vectors.keys import own, stranger
from tests.vectors.rules import LONGEST

LEEWAY = 30
ALL = {"anyRole": ["admin", "support"], "mfa": True, "maxAuthAge": "60s", "maxStaleness": "5s"}
"""A rule that asks for everything."""


def add_callers(book: Book) -> None:
    """Write all cases of this module."""
    _roles(book)
    _mfa(book)
    _max_auth_age(book)
    _combined(book)
    _by_answer(book)


def everything(**changes: Any) -> str:
    """Return the token of a caller who meets everything that `ALL` asks for, with changes."""
    return token(claims(**{"roles": ["support"], "amr": ["pwd", "mfa"], "auth_time": NOW - 60} | changes))


def _roles(book: Book) -> None:
    def with_roles(*roles: str) -> str:
        return token(claims(roles=list(roles)))

    book.accepts("authenticated asks for no role", "step-7", with_roles(), rule={"authenticated": True})
    passing = [
        (["reader"], ["reader"]),
        (["reader", "writer"], ["writer"]),
        (["writer", "reader"], ["reader", "auditor"]),
        (["admin"], ["zebra", "admin", "auditor"]),
        (["r" * 64], ["r" * 64]),
        (["reader"], ["reader", "reader"]),
        ([f"role-{n}" for n in range(100)], ["role-99"]),
    ]
    for asked, held in passing:
        name = f"a caller with {', '.join(held)} passes where any of {len(asked)} roles with {asked[-1]} is asked for"
        book.accepts(name, "step-7", with_roles(*held), rule={"anyRole": asked})
    lacking: list[tuple[list[str], list[str]]] = [
        (["admin"], []),
        (["admin"], ["reader"]),
        (["admin"], ["administrator"]),
        (["admin"], ["admi"]),
        (["admin"], ["Admin"]),
        (["admin"], ["ADMIN"]),
        (["admin"], ["admin "]),
        (["admin"], ["admin\0"]),
        (["admin"], ["admin,reader"]),
        (["admin"], ["*"]),
        (["admin"], ["аdmin"]),
        (["a.b"], ["axb"]),
        (["admin", "writer"], ["reader", "auditor"]),
    ]
    for asked, held in lacking:
        name = f"a caller with {held!a} lacks a role where {' or '.join(asked)} is asked for"
        book.refuses(name, "step-7", with_roles(*held), "ROLE_MISSING", rule={"anyRole": asked})


def _mfa(book: Book) -> None:
    rule = {"authenticated": True, "mfa": True}
    for methods in (["pwd", "otp", "mfa"], ["mfa"], ["mfa", "pwd"]):
        book.accepts(
            f"a login by {', '.join(methods)} is one with several factors",
            "step-7",
            token(claims(amr=methods)),
            rule=rule,
        )
    for methods in (["pwd"], [], ["pwd", "otp"], ["MFA"], ["mfa "], ["pwd,mfa"], ["pwd mfa"], ["mfax"], ["nomfa"]):
        name = f"a login by {methods!a} is not one with several factors"
        book.refuses(name, "step-7", token(claims(amr=methods)), "MFA_REQUIRED", rule=rule)
    book.accepts(
        "a login with several factors passes where none are asked for", "step-7", token(claims(amr=["pwd", "mfa"]))
    )


def _max_auth_age(book: Book) -> None:
    for limit in (1, 60, 900, 86_400):
        rule = {"authenticated": True, "maxAuthAge": f"{limit}s"}
        for age in (0, limit, limit + LEEWAY):
            text = token(claims(auth_time=NOW - age))
            book.accepts(
                f"a login {age:,} seconds ago is recent enough where {limit:,} are allowed", "step-7", text, rule=rule
            )
        for age in (limit + LEEWAY + 1, limit + LEEWAY + 3600):
            text = token(claims(auth_time=NOW - age))
            name = f"a login {age:,} seconds ago is too long ago where {limit:,} are allowed"
            book.refuses(name, "step-7", text, "AUTHENTICATION_TOO_OLD", rule=rule)
    minute = {"authenticated": True, "maxAuthAge": "60s"}
    later = token(claims(auth_time=NOW + 1))
    book.refuses("a login in the future is none, however recent", "T5 step-7", later, rule=minute)
    ahead = token(claims(iat=NOW + LEEWAY, nbf=NOW, auth_time=NOW + LEEWAY))
    book.accepts("a login by a clock that is half a minute ahead is recent", "step-7", ahead, rule=minute)
    book.refuses(
        "a login in 1970 is too long ago", "step-7", token(claims(auth_time=0)), "AUTHENTICATION_TOO_OLD", rule=minute
    )
    ages = {"auth_time": 0, "rule": {"authenticated": True, "maxAuthAge": LONGEST}}
    book.accepts(
        "a login in 1970 is recent enough for ten thousand years",
        "step-7",
        token(claims(auth_time=0)),
        rule=ages["rule"],
    )
    end = 253402300799
    late = token(claims(exp=end, iat=end - 900, nbf=end - 900, auth_time=end - 900))
    name = "the last login of the calendar and ten thousand years do not overflow"
    book.accepts(name, "step-7", late, rule=ages["rule"], now=end - 900)
    good = book.good()
    book.accepts("a login grows older with the token, up to the limit", "step-7", good, rule=minute, now=NOW + 90)
    book.refuses(
        "a login grows older with the token, beyond it",
        "step-7",
        good,
        "AUTHENTICATION_TOO_OLD",
        rule=minute,
        now=NOW + 91,
    )


def _combined(book: Book) -> None:
    full, age = book.named("meets everything", everything()), NOW - 91
    book.accepts("a caller who meets everything that a rule asks passes", "step-7", full, rule=ALL)
    book.accepts(
        "a caller who meets everything passes by a view as old as allowed", "step-7", full, rule=ALL, view_age=5
    )
    lacks: list[tuple[str, dict[str, Any], str]] = [
        ("a role", {"roles": ["reader"]}, "ROLE_MISSING"),
        ("a second factor", {"amr": ["pwd"]}, "MFA_REQUIRED"),
        ("a recent login", {"auth_time": age}, "AUTHENTICATION_TOO_OLD"),
        ("a role and a second factor", {"roles": [], "amr": ["pwd"]}, "ROLE_MISSING"),
        ("a role and a recent login", {"roles": [], "auth_time": age}, "ROLE_MISSING"),
        ("a second factor and a recent login", {"amr": [], "auth_time": age}, "MFA_REQUIRED"),
        ("everything", {"roles": [], "amr": [], "auth_time": age}, "ROLE_MISSING"),
    ]
    for name, changes, reason in lacks:
        text = book.named(f"lacks {name}", everything(**changes))
        book.refuses(f"a caller who lacks {name} is refused for the first of it", "step-7", text, reason, rule=ALL)
        # Whether the token or the answer is looked at makes no difference, because both say the same.
        answer: dict[str, Any] = {"roles": ["support"], "amr": ["pwd", "mfa"], "auth_time": NOW - 60} | changes
        asked = identity(roles=answer["roles"], authMethods=answer["amr"], authTime=timestamp(answer["auth_time"]))
        again = f"a caller who lacks {name} is refused after Verify was asked"
        book.refuses(again, "step-7 step-6", text, reason, rule=ALL, view_age=6, verify=asked)
    nobody = everything(roles=[], amr=[], auth_time=age)
    order: list[tuple[str, Any, str, dict[str, Any]]] = [
        ("no token", None, "TOKEN_MISSING", {}),
        ("a forged token", token(key=stranger("ES256")), "TOKEN_INVALID", {}),
        ("an expired token", nobody, "TOKEN_EXPIRED", {"now": NOW + 930}),
        ("a token ahead of its time", nobody, "TOKEN_NOT_YET_VALID", {"now": NOW - 31}),
        ("a session that has ended", nobody, "SESSION_ENDED", {"revocations": [ended()]}),
        ("an outdated token", nobody, "TOKEN_OUTDATED", {"revocations": [outdated(9)]}),
        ("an old view and no answer", nobody, "VERIFICATION_UNAVAILABLE", {"view_age": 6, "verify": UNAVAILABLE}),
        ("an old view and a refusal", nobody, "SESSION_ENDED", {"view_age": 6, "verify": refused("SESSION_ENDED")}),
    ]
    for name, text, reason, setting in order:
        book.refuses(
            f"{name} counts before all that a rule asks of the caller", "step-7", text, reason, rule=ALL, **setting
        )
    met = identity(roles=["support"], authMethods=["pwd", "mfa"], authTime=timestamp(NOW - 60))
    book.accepts(
        "a caller who meets everything passes after Verify was asked",
        "step-7 step-6",
        full,
        rule=ALL,
        view_age=6,
        verify=met,
    )


def _by_answer(book: Book) -> None:
    """Write cases in which the token cannot be read here, so that only the answer says who is calling."""
    text = token(claims(sub=OTHER_USER, roles=["admin"], amr=["mfa"]), own("ES256").header(kid="new-key"))
    unknown = book.named("unknown key of another user", text)
    answer = {"roles": ["support"], "authMethods": ["pwd", "mfa"], "authTime": timestamp(NOW - 90)}
    where: dict[str, Any] = {"view_age": 60, "key_age": 0, "rule": ALL}
    book.accepts(
        "roles, methods and time of login come from the answer of Verify",
        "step-7 step-6",
        unknown,
        verify=identity(**answer),
        **where,
    )
    for name, changes, reason in (
        ("other roles", {"roles": ["reader"]}, "ROLE_MISSING"),
        ("no roles", {"roles": []}, "ROLE_MISSING"),
        ("other methods", {"authMethods": ["pwd"]}, "MFA_REQUIRED"),
        ("no methods", {"authMethods": []}, "MFA_REQUIRED"),
        ("an earlier login", {"authTime": timestamp(NOW - 91)}, "AUTHENTICATION_TOO_OLD"),
    ):
        changed = identity(**answer | changes)
        book.refuses(
            f"{name} in the answer of Verify are what counts", "step-7 step-6", unknown, reason, verify=changed, **where
        )
    book.refuses(
        "roles in a token that could not be read do not count", "step-7 step-6", unknown, "ROLE_MISSING",
        verify=identity(**answer), view_age=60, rule={"anyRole": ["admin"]},
    )  # fmt: skip
    book.accepts("a user named by Verify alone is the caller", "step-7 step-6", unknown, verify=identity(), view_age=60)
