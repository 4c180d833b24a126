"""Rules that only observe: what they would refuse is counted, and passes."""

from typing import Any

from tests.vectors.answers import ANSWERS, UNAVAILABLE, ended, identity, outdated, refused
from tests.vectors.book import NOW, OTHER_USER, USER, Book, claims, token
from tests.vectors.callers import ALL, everything
from tests.vectors.keys import own, stranger


def add_observing(book: Book) -> None:
    """Write all cases of this module."""
    rule: dict[str, Any] = {"rule": {"authenticated": True, "observe": True}}
    full: dict[str, Any] = {"rule": ALL | {"observe": True}}
    good = book.good()
    book.accepts("a rule that observes passes a good token with its identity", "observe", good, **rule)
    book.accepts("a rule that observes passes a caller who meets everything", "observe", everything(), **full)
    book.accepts("a rule that observes still asks Verify", "observe", good, view_age=11, verify=identity(), **rule)
    unread: list[tuple[str, Any, str, dict[str, Any]]] = [
        ("no token", None, "TOKEN_MISSING", {}),
        ("garbage for a token", "garbage", "TOKEN_INVALID", {}),
        ("a forged token", token(key=stranger("ES256")), "TOKEN_INVALID", {}),
        ("a token for another audience", token(claims(aud="billing")), "TOKEN_INVALID", {}),
        ("an expired token", good, "TOKEN_EXPIRED", {"now": NOW + 930}),
        ("a token ahead of its time", good, "TOKEN_NOT_YET_VALID", {"now": NOW - 31}),
        ("a session that has ended", good, "SESSION_ENDED", {"revocations": [ended()]}),
        ("an outdated token", good, "TOKEN_OUTDATED", {"revocations": [outdated(9)]}),
        ("an old view and no answer", good, "VERIFICATION_UNAVAILABLE", {"view_age": 11, "verify": UNAVAILABLE}),
        (
            "no keys and no answer",
            good,
            "VERIFICATION_UNAVAILABLE",
            {"keys": None, "view_age": None, "verify": UNAVAILABLE},
        ),
    ]
    unread += [
        (f"an old view and {reason}", good, reason, {"view_age": 11, "verify": refused(reason)}) for reason in ANSWERS
    ]
    for name, text, reason, setting in unread:
        book.observes(
            f"a rule that observes passes {name} without an identity", "observe", text, reason, **setting, **rule
        )
    metadata = [["authorization", "Bearer x"], ["authorization", "Bearer x"]]
    book.observes(
        "a rule that observes passes two entries without an identity",
        "observe",
        None,
        "TOKEN_INVALID",
        metadata=metadata,
        **rule,
    )
    for name, text, reason in (
        ("a caller without the role", everything(roles=["reader"]), "ROLE_MISSING"),
        ("a caller without a second factor", everything(amr=["pwd"]), "MFA_REQUIRED"),
        ("a caller who logged in too long ago", everything(auth_time=NOW - 91), "AUTHENTICATION_TOO_OLD"),
        ("a caller who lacks everything", everything(roles=[], amr=[], auth_time=0), "ROLE_MISSING"),
    ):
        book.observes(
            f"a rule that observes passes {name} with their identity", "observe", text, reason, user_id=USER, **full
        )
    unknown = token(header=own("ES256").header(kid="new-key"))
    book.observes(
        "a rule that observes passes a caller whom only Verify knows, who lacks a role", "observe", unknown,
        "ROLE_MISSING", user_id=OTHER_USER, view_age=60, verify=identity(userId=OTHER_USER), **full,
    )  # fmt: skip
