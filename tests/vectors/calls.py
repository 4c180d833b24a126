"""How a call brings its token, and when that token counts (steps 2 and 4)."""

from typing import Any

from tests.vectors.book import NOW, OTHER_USER, USER, Book, claims, token
from tests.vectors.keys import stranger

LEEWAY, STALE = 30, 11
"""Seconds: the leeway, and an age at which a view is too old by default."""


def add_calls(book: Book) -> None:
    """Write all cases of this module."""
    _metadata(book)
    _time(book)


def _metadata(book: Book) -> None:
    good, other = token(), token(claims(jti="other"))
    book.named("good ES256 with another jti", other)
    key = "authorization"
    book.refuses("a call without a token is refused", "step-2", None, "TOKEN_MISSING")
    elsewhere = ("cookie", "x-authorization", "proxy-authorization", "access_token", "token", "authorization2")
    missing = {f"only in {name}": [[name, f"Bearer {good}"]] for name in elsewhere}
    missing |= {"in no metadata": [], "in other metadata": [["user-agent", "Bearer"], ["x-request-id", "1"]]}
    forged = [[name, USER] for name in ("x-user", "x-user-id", "x-auth-user", "x-forwarded-user", "x-remote-user")]
    forged += [["remote-user", USER], ["x-roles", "admin"], ["x-identity-sub", USER], ["authclient-user-id", USER]]
    missing["beside entries that name a user"] = forged
    for name, metadata in missing.items():
        book.refuses(
            f"a call with a token {name} is refused as one without", "step-2", None, "TOKEN_MISSING", metadata=metadata
        )
    named = "beside entries that name another user"
    others = [[name, OTHER_USER] for name, _ in forged]
    book.accepts(f"a good token {named} counts for its own", "step-2", metadata=[*others, [key, f"Bearer {good}"]])
    for scheme in ("Bearer", "bearer", "BEARER", "bEaReR"):
        book.accepts(f"the scheme {scheme} is good", "step-2", metadata=[[key, f"{scheme} {good}"]])
    for name, value in {
        "Bearer and nothing": "Bearer",
        "bearer and nothing": "bearer",
        "Bearer and a space": "Bearer ",
        "Bearer and two spaces": "Bearer  ",
        "Bearer and a tab": "Bearer\t",
        "Bearer and a space and a tab": "bEARER \t",
        "Bearer after a space": " Bearer",
        "an empty value": "",
        "a space": " ",
        "a tab and spaces": " \t ",
    }.items():
        why = f"authorization with {name} is refused as none"
        book.refuses(why, "step-2", None, "TOKEN_MISSING", metadata=[[key, value]])
    values = {
        "Bearer and a no-break space": ["Bearer\u00a0"],
        "another scheme and nothing": ["Basic"],
        "another scheme and a space": ["Basic "],
        "Bearer and nothing twice": ["Bearer", "Bearer"],
        "two empty values": ["", ""],
        "a token without a scheme": [good],
        "two spaces after the scheme": [f"Bearer  {good}"],
        "a tab after the scheme": [f"Bearer\t{good}"],
        "a space before the scheme": [f" Bearer {good}"],
        "a space after the token": [f"Bearer {good} "],
        "a tab after the token": [f"Bearer {good}\t"],
        "the scheme and no space": [f"Bearer{good}"],
        "a colon after the scheme": [f"Bearer: {good}"],
        "an equals sign after the scheme": [f"Bearer={good}"],
        "the scheme twice": [f"Bearer Bearer {good}"],
        "the scheme behind the token": [f"{good} Bearer"],
        "a token in quotes": [f'Bearer "{good}"'],
        "a parameter behind the token": [f"Bearer {good}, realm=x"],
        "two tokens with a comma": [f"Bearer {good},{good}"],
        "two tokens with the scheme and a comma": [f"Bearer {good}, Bearer {good}"],
        "two tokens with a space": [f"Bearer {good} {other}"],
        "an empty value and a token": ["", f"Bearer {good}"],
        "a token and an empty value": [f"Bearer {good}", ""],
        "two equal tokens": [f"Bearer {good}", f"Bearer {good}"],
        "two different good tokens": [f"Bearer {good}", f"Bearer {other}"],
        "a good token and a bad one": [f"Bearer {good}", "Bearer x"],
        "a bad token and a good one": ["Bearer x", f"Bearer {good}"],
        "another scheme and a good token": ["Basic QWRhOng=", f"Bearer {good}"],
        "a good token and another scheme": [f"Bearer {good}", "Basic QWRhOng="],
        "three good tokens": [f"Bearer {good}"] * 3,
    }
    for scheme in (
        "Basic",
        "Digest",
        "DPoP",
        "Token",
        "JWT",
        "Negotiate",
        "Bear",
        "Bearer2",
        "XBearer",
        "MAC",
        "Вearer",
    ):
        values[f"the scheme {scheme}"] = [f"{scheme} {good}"]
    # The scheme is there, once, with something after it: an entry as it should be, of a token that is none.
    no_token = {
        "two spaces after the scheme",
        "a space after the token",
        "a tab after the token",
        "the scheme twice",
        "a token in quotes",
        "a parameter behind the token",
        "two tokens with a comma",
        "two tokens with the scheme and a comma",
        "two tokens with a space",
    }
    for name, entries in values.items():
        metadata = [[key, value] for value in entries]
        words = None if name in no_token else "TOKEN_MISSING"
        book.refuses(f"authorization with {name} is refused", "step-2", words=words, metadata=metadata)
    book.refuses("an empty token is refused as none", "step-2", "", "TOKEN_MISSING")


def _time(book: Book) -> None:
    good, end = book.good(), NOW + 900
    for seconds in (-30, -29, -1, 1, 899, 900, 929):
        shown = f"{abs(seconds)} seconds {'before' if seconds < 0 else 'after'} it was made"
        book.accepts(f"a token is good {shown}", "step-4", good, now=NOW + seconds)
    for seconds in (930, 931, 3600, 86_400, 10**9):
        book.refuses(
            f"a token is expired {seconds:,} seconds after it was made",
            "step-4",
            good,
            "TOKEN_EXPIRED",
            now=NOW + seconds,
        )
    for seconds in (31, 32, 3600, 10**9):
        name = f"a token is not yet valid {seconds:,} seconds before it was made"
        book.refuses(name, "step-4", good, "TOKEN_NOT_YET_VALID", now=NOW - seconds)
    for claim in ("nbf", "iat"):
        for ahead in (LEEWAY, LEEWAY + 1):
            text = token(claims(**{claim: NOW + ahead}))
            name = f"a token whose {claim} is {ahead} seconds ahead is"
            if ahead <= LEEWAY:
                book.accepts(f"{name} good", "step-4", text)
            else:
                book.refuses(f"{name} not yet valid", "step-4", text, "TOKEN_NOT_YET_VALID")
    late = token(claims(nbf=end + 3600))
    book.refuses("a token that begins after its end is not yet valid at first", "step-4", late, "TOKEN_NOT_YET_VALID")
    book.refuses(
        "a token that begins after its end is expired in the end", "step-4", late, "TOKEN_EXPIRED", now=end + LEEWAY
    )
    last = token(claims(exp=253402300799, iat=253402300000, nbf=253402300000))
    book.refuses("a token of the end of the calendar is not yet valid", "step-4", last, "TOKEN_NOT_YET_VALID")
    book.accepts("a token of the end of the calendar is good then", "step-4", last, now=253402300000)
    first = token(claims(exp=900, iat=0, nbf=0, auth_time=0))
    book.refuses("a token of 1970 is expired", "step-4", first, "TOKEN_EXPIRED")
    book.accepts("a token of 1970 was good then", "step-4", first, now=1)
    for kind in ("EdDSA", "RS256", "RS256-3072"):
        book.refuses(
            f"a token by {kind} is expired at its end", "step-4", book.good(kind), "TOKEN_EXPIRED", now=end + LEEWAY
        )
    book.refuses(
        "a forged token that has expired is invalid and not expired",
        "step-4",
        token(key=stranger("ES256")),
        now=NOW + 9999,
    )
    wrong = token(claims(iss="other"))
    book.refuses("an expired token of another issuer is invalid and not expired", "step-4", wrong, now=NOW + 9999)
    for age in (STALE, 3000):
        book.refuses(
            f"an expired token is refused without asking by a view of {age} seconds",
            "step-4 step-6",
            good,
            "TOKEN_EXPIRED",
            now=end + LEEWAY,
            view_age=age,
        )
        book.refuses(
            f"a token ahead of its time is refused without asking by a view of {age} seconds",
            "step-4 step-6",
            good,
            "TOKEN_NOT_YET_VALID",
            now=NOW - LEEWAY - 1,
            view_age=age,
        )
    stale: dict[str, Any] = {"view_age": None, "key_age": 0}
    book.refuses(
        "an expired token is refused without asking where there is no view",
        "step-4 step-6",
        good,
        "TOKEN_EXPIRED",
        now=end + 30,
        **stale,
    )
