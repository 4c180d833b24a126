"""S4 on real databases: a rule whose transaction stayed open while later ones were committed is never skipped."""

import itertools
import os
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import Engine, delete, insert, literal, select
from uuid6 import uuid7

from authservice.storage.engine import open_engine
from authservice.storage.tables.trust import revocations
from authservice.storage.trust.revocation_log import SqlRevocationLog
from authservice.usecases.trust.revocation_feed import RevocationFeed

RULES = int(os.environ.get("AUTHSERVICE_TEST_LATE_RULES", "1000"))
WRITERS = 50
HELD_SECONDS = 0.02
"""How long a transaction stays open at most, which is much longer than a look at the log takes."""

pytestmark = pytest.mark.parametrize("backend", ["mariadb"])


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = open_engine(database_url, pool_size=WRITERS + 4)
    yield engine
    engine.dispose()


@pytest.fixture
def feed(engine: Engine) -> Iterator[RevocationFeed]:
    """Yield a feed that has been read once."""
    log = SqlRevocationLog(engine)
    feed = RevocationFeed(log, "history", now)
    feed.refresh()
    yield feed
    log.close()


@contextmanager
def written(engine: Engine, *, keep: bool = True) -> Iterator[UUID]:
    """Write a rule in a transaction that is open as long as the block."""
    subject = uuid7()
    end = now() + timedelta(hours=1)
    with engine.connect() as connection, connection.begin() as transaction:
        connection.execute(insert(revocations).values(subject=subject, min_generation=0, token_end=end))
        yield subject
        if not keep:
            transaction.rollback()


def proved(feed: RevocationFeed) -> set[UUID]:
    """Return the subjects of all rules after a proof that begins now."""
    feed._next_proof = 0.0  # Due at once, however long the last one took.
    feed.refresh()
    return {rule.subject for rule in feed.snapshot()[0]}


def test_s4_rows_committed_out_of_order_are_never_skipped(engine: Engine, feed: RevocationFeed) -> None:
    with written(engine) as late:
        with written(engine) as early:
            assert proved(feed) == set(), "what is not committed is not known"
        assert proved(feed) == {early}
    position = feed.position
    assert proved(feed) == {early, late}
    arrived, bookmark = feed.since(position)
    assert [rule.subject for rule in arrived] == [late]
    assert arrived[0].seq < bookmark.seq, "or the transactions were not out of order"
    assert bookmark.rule_count == 2


def test_s4_numbers_of_transactions_that_failed_leave_holes_and_nothing_else(
    engine: Engine, feed: RevocationFeed
) -> None:
    with written(engine) as first:
        pass
    with written(engine, keep=False), written(engine) as second:
        pass
    with written(engine, keep=False):
        pass
    assert proved(feed) == {first, second}
    with written(engine) as third:
        pass
    assert proved(feed) == {first, second, third}
    seqs = sorted(rule.seq for rule in feed.snapshot()[0])
    assert seqs[2] - seqs[0] > 2, "there are holes"


def test_numbers_go_on_after_the_highest_row_was_deleted(engine: Engine, feed: RevocationFeed) -> None:
    with written(engine):
        pass
    proved(feed)
    seen = feed.snapshot()[1].seq
    with engine.begin() as connection:
        connection.execute(delete(revocations))
    with written(engine) as next_one:
        pass
    assert next_one in proved(feed)
    assert feed.snapshot()[1].seq > seen


def test_s4_of_fifty_writers_with_delayed_commits_no_rule_is_missing(engine: Engine, feed: RevocationFeed) -> None:
    out_of_order = 0
    seen: list[UUID] = []
    done = threading.Event()

    def read() -> None:
        nonlocal out_of_order
        position, highest = feed.position, 0
        for turn in itertools.count():
            last = done.is_set()
            if turn % 2:
                feed._next_proof = 0.0  # More often than in service, where this would take minutes.
            feed.refresh()
            rules, bookmark = feed.since(position)
            position = bookmark.position
            for rule in rules:
                seen.append(rule.subject)
                out_of_order += rule.seq < highest
                highest = max(highest, rule.seq)
            assert len(seen) == bookmark.rule_count, "a watcher that counts has to agree at each step"
            if last:
                return

    def write(number: int) -> UUID:
        with written(engine) as subject:
            time.sleep(random.Random(number).random() * HELD_SECONDS)  # A slow transaction is what is tested here.
        return subject

    with ThreadPoolExecutor(WRITERS) as writers, ThreadPoolExecutor(1) as reader:
        reading = reader.submit(read)
        committed = list(writers.map(write, range(RULES)))
        done.set()
        reading.result()
    proved(feed)
    missing = set(committed) - {rule.subject for rule in feed.snapshot()[0]}
    print(
        f"S4: {RULES} rules by {WRITERS} writers, {out_of_order} arrived after a higher number, {len(missing)} missing"
    )
    assert not missing
    assert out_of_order, "or nothing was tested"
    assert len(seen) == len(set(seen)), "each arrives once"


def test_s4_a_transaction_that_stays_open_holds_up_no_other_rule(engine: Engine, feed: RevocationFeed) -> None:
    # Sessions end by INSERT … SELECT, which takes MariaDB's lock on the counter: for the statement, not for longer.
    end = literal(now() + timedelta(hours=1), revocations.c.token_end.type)
    rule = select(literal(uuid7(), revocations.c.subject.type), literal(0), end)
    with engine.begin() as connection:
        connection.execute(insert(revocations).from_select(["subject", "min_generation", "token_end"], rule))
        with written(engine) as other:
            pass  # Where the lock is held, this raises after the time that a statement may wait for one.
        assert other in proved(feed)
