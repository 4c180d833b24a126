"""What the view knows of a token: its session has ended, or its user has changed (step 5)."""

from tests.vectors.answers import ended, identity, outdated
from tests.vectors.book import GOOD_CLAIMS, NOW, OTHER_SESSION, OTHER_USER, SESSION, USER, Book, claims, token
from tests.vectors.keys import stranger

FRESH = 10
"""Seconds: the default `max_staleness`."""


def add_revocations(book: Book) -> None:
    """Write all cases of this module."""
    _sessions(book)
    _generations(book)


def _sessions(book: Book) -> None:
    good = book.good()
    rule = ended()
    for age in (0, FRESH, FRESH + 1, 3600):
        name = f"a token of a session that has ended is refused by a view of {age} seconds without asking"
        book.refuses(name, "step-5", good, "SESSION_ENDED", view_age=age, revocations=[rule])
    for kind in ("EdDSA", "RS256"):
        text = book.good(kind)
        book.refuses(
            f"a token by {kind} of a session that has ended is refused",
            "step-5",
            text,
            "SESSION_ENDED",
            revocations=[rule],
        )
    other = ended(OTHER_SESSION)
    book.accepts("the end of another session changes nothing", "step-5", good, revocations=[other])
    book.accepts("a session whose id is that of the user is another one", "step-5", good, revocations=[ended(USER)])
    many = [ended(f"0191d5a5-0000-7000-8000-{number:012x}", seq=number) for number in range(256, 296)]
    book.accepts("the end of 40 other sessions changes nothing", "step-5", good, revocations=many)
    book.refuses(
        "the session is found among 40 others", "step-5", good, "SESSION_ENDED", revocations=[*many, ended(seq=1000)]
    )
    both = [ended(seq=7), ended(seq=7)]
    book.refuses("a rule that came twice counts", "step-5", good, "SESSION_ENDED", revocations=both)
    book.refuses(
        "the end of a session counts before an outdated token",
        "step-5",
        good,
        "SESSION_ENDED",
        revocations=[outdated(9), ended(seq=2)],
    )
    book.refuses(
        "the end of the token counts before that of its session",
        "step-4 step-5",
        good,
        "TOKEN_EXPIRED",
        now=NOW + 930,
        revocations=[rule],
    )
    book.refuses(
        "a forged token of a session that has ended is invalid",
        "step-5",
        token(key=stranger("ES256")),
        revocations=[rule],
    )
    # A rule ends when the last token that it matches has, so in use nobody would notice one that is kept too long.
    ends = {"at the time of the view": NOW, "before the view": NOW - 60, "long before the view": NOW - 86_400}
    for name, end in ends.items():
        for what, gone in (
            ("the end of the session", ended(expire=end)),
            ("a new generation", outdated(9, expire=end)),
        ):
            book.accepts(f"a rule about {what} that expired {name} is not applied", "step-5", good, revocations=[gone])
    for what, reason, near in (
        ("the end of the session", "SESSION_ENDED", ended(expire=NOW + 60)),
        ("a new generation", "TOKEN_OUTDATED", outdated(9, expire=NOW + 60)),
    ):
        book.refuses(
            f"a rule about {what} that expires in a minute is applied", "step-5", good, reason, revocations=[near]
        )
    passed = ended(expire=NOW - 60)
    book.refuses(
        "a rule that expired after the view was read is applied",
        "step-5",
        good,
        "SESSION_ENDED",
        view_age=61,
        revocations=[passed],
    )
    book.accepts(
        "a rule that expired when the view was read is not applied",
        "step-5 step-6",
        good,
        view_age=60,
        revocations=[passed],
        verify=identity(),
    )


def _generations(book: Book) -> None:
    generation = GOOD_CLAIMS["gen"]
    good = book.good()
    for minimum, name in ((1, "the first"), (generation - 1, "a lower"), (generation, "the same")):
        book.accepts(f"a token is good from {name} generation on", "step-5", good, revocations=[outdated(minimum)])
    for minimum, name in ((generation + 1, "the next"), (2**31 - 1, "the highest")):
        for age in (0, FRESH + 1):
            book.refuses(
                f"a token is outdated from {name} generation on, by a view of {age} seconds",
                "step-5",
                good,
                "TOKEN_OUTDATED",
                revocations=[outdated(minimum)],
                view_age=age,
            )
    two = [outdated(generation + 1), outdated(1, seq=2)]
    book.refuses(
        "the highest generation of several rules counts, come first", "step-5", good, "TOKEN_OUTDATED", revocations=two
    )
    book.refuses(
        "the highest generation of several rules counts, come last",
        "step-5",
        good,
        "TOKEN_OUTDATED",
        revocations=two[::-1],
    )
    lasting = [outdated(generation + 1, expire=NOW), outdated(1, seq=2)]
    book.accepts("a rule that expired is forgotten beside one that did not", "step-5", good, revocations=lasting)
    book.accepts(
        "a new generation of another user changes nothing", "step-5", good, revocations=[outdated(9, OTHER_USER)]
    )
    book.accepts(
        "a new generation of a user with the session's id changes nothing",
        "step-5",
        good,
        revocations=[outdated(9, SESSION)],
    )
    zero, highest = token(claims(gen=0)), token(claims(gen=2**31 - 1))
    book.refuses("generation 0 is outdated from 1 on", "step-5", zero, "TOKEN_OUTDATED", revocations=[outdated(1)])
    book.accepts("generation 0 is good where nothing is said", "step-5", zero)
    book.accepts("the highest generation is never outdated", "step-5", highest, revocations=[outdated(2**31 - 1)])
