"""What is known here about revoked tokens: nothing is missed, whatever commits first, and every count is right."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from authservice.domain.errors import ResumePointUnknown, StorageUnavailable
from authservice.domain.revocation import Revocation, least_token_end
from authservice.usecases.trust.revocation_feed import KEPT, PROOF_SHARE, Bookmark, RevocationFeed, TooFarBehind

START = datetime(2026, 3, 1, 12, 0, 17, 250000, tzinfo=UTC)
HOUR = timedelta(hours=1)
STALE_SECONDS = 10.0
"""How old a service's knowledge may be before it asks Verify about each call, unless a rule says otherwise."""


def rule(seq: int, token_end: datetime = START + HOUR, subject: int | None = None, generation: int = 0) -> Revocation:
    """Return a rule about a subject of its own, unless one is given."""
    return Revocation(seq, UUID(int=seq if subject is None else subject), generation, token_end)


@dataclass
class World:
    """A log and two clocks that a test sets, and the feed that reads them.

    `read_seconds` is how long each read of the log takes, by the monotonic clock.
    """

    rows: list[Revocation] = field(default_factory=list)
    now: datetime = START
    uptime: float = 1000.0
    read_seconds: float = 0.0
    is_away: bool = False
    reads: list[str] = field(default_factory=list)
    looked: Callable[[], object] = lambda: None
    """Called while the log is read."""

    def __post_init__(self) -> None:
        self.feed = RevocationFeed(self, "history", lambda: self.now, lambda: self.uptime)

    def after(self, seq: int) -> list[Revocation]:
        """See ports.RevocationLog."""
        self._read("after")
        return sorted((row for row in self.rows if row.seq > seq), key=lambda row: row.seq)

    def counted_after(self, seq: int, now: datetime) -> tuple[list[Revocation], int]:
        """See ports.RevocationLog."""
        self._read("counted_after")
        rows = sorted((row for row in self.rows if row.seq > seq), key=lambda row: row.seq)
        return rows, sum(row.token_end > least_token_end(now) for row in self.rows)

    def all(self, now: datetime) -> list[Revocation]:
        """See ports.RevocationLog."""
        self._read("all")
        return sorted((r for r in self.rows if r.token_end > least_token_end(now)), key=lambda row: row.seq)

    def _read(self, how: str) -> None:
        if self.is_away:
            raise StorageUnavailable
        self.reads.append(how)
        self.looked()
        self.uptime += self.read_seconds

    def pass_time(self, seconds: float) -> None:
        """Let both clocks run."""
        self.now += timedelta(seconds=seconds)
        self.uptime += seconds

    def prove(self) -> None:
        """Read with a proof: enough time passes that one is due."""
        self.pass_time(PROOF_SHARE * self.read_seconds + 0.001)
        self.feed.refresh()

    def look(self) -> None:
        """Read without a proof, as between two of them."""
        share, self.feed._next_proof = self.feed._next_proof, float("inf")
        self.feed.refresh()
        self.feed._next_proof = share

    @property
    def known(self) -> set[int]:
        """The numbers of all rules that the feed has."""
        return {each.seq for each in self.feed.snapshot()[0]}


def test_a_feed_is_ready_after_its_first_reading_and_has_everything_that_matters() -> None:
    world = World([rule(1), rule(2, START - HOUR), rule(3)])
    assert not world.feed.is_ready
    world.feed.refresh()
    assert world.feed.is_ready
    rules, bookmark = world.feed.snapshot()
    assert [each.seq for each in rules] == [1, 3]
    assert bookmark == Bookmark(world.feed.position, 3, place(world, 3), 2, START, 1000.0)


def test_a_feed_is_not_ready_while_the_database_is_away() -> None:
    world = World([rule(1)], is_away=True)
    with pytest.raises(StorageUnavailable):
        world.feed.refresh()
    assert not world.feed.is_ready
    world.is_away = False
    world.feed.refresh()
    assert world.known == {1}


def test_the_time_of_a_bookmark_is_from_before_the_reading() -> None:
    world = World([rule(1)], read_seconds=0.5)
    world.feed.refresh()
    assert world.feed.snapshot()[1].read_uptime == 1000.0
    assert world.uptime == 1000.5


def test_a_look_brings_rules_but_proves_nothing() -> None:
    world = World([rule(1)])
    world.feed.refresh()
    world.pass_time(0.1)
    world.rows.append(rule(2))
    world.look()
    rules, bookmark = world.feed.snapshot()
    assert [each.seq for each in rules] == [1, 2]
    assert (bookmark.read_time, bookmark.read_uptime, bookmark.rule_count) == (START, 1000.0, 2)
    world.prove()
    assert world.feed.snapshot()[1].read_uptime > 1000.1


def test_s4_a_rule_that_is_committed_late_is_delivered_by_the_next_proof() -> None:
    world = World([rule(1), rule(5)])
    world.feed.refresh()
    begin = world.feed.position
    world.rows.append(rule(3))
    world.look()
    assert world.known == {1, 5}, "asking for higher numbers alone does not find it"
    world.prove()
    assert world.known == {1, 3, 5}
    assert [each.seq for each in world.feed.since(begin)[0]] == [3]
    assert world.feed.snapshot()[1].seq == 5


def test_s4_a_late_rule_is_delivered_although_another_arrives_in_the_same_proof() -> None:
    world = World([rule(1), rule(5)])
    world.feed.refresh()
    world.rows += [rule(3), rule(6)]
    world.prove()
    assert world.known == {1, 3, 5, 6}


def test_s4_a_late_rule_is_delivered_although_another_expires_in_the_same_proof() -> None:
    world = World([rule(1, START + timedelta(seconds=30)), rule(5)])
    world.feed.refresh()
    world.rows.append(rule(3))
    world.pass_time(180)
    world.prove()
    assert world.known == {3, 5}


def test_s4_a_late_rule_is_delivered_although_another_was_purged_meanwhile() -> None:
    world = World([rule(1, START + timedelta(seconds=30)), rule(5)])
    world.feed.refresh()
    world.pass_time(180)
    world.rows = [rule(3), rule(5)]
    world.prove()
    assert world.known == {3, 5}


def test_s4_numbers_that_are_never_used_cost_no_second_reading() -> None:
    world = World([rule(1), rule(7), rule(1000)])
    world.feed.refresh()
    world.rows.append(rule(2000))
    world.reads.clear()
    for _ in range(3):
        world.prove()
    assert world.known == {1, 7, 1000, 2000}
    assert set(world.reads) == {"counted_after"}


def test_expired_rules_go_at_a_proof_and_are_not_taken_again() -> None:
    world = World([rule(1, START + timedelta(seconds=30)), rule(2)])
    world.feed.refresh()
    world.pass_time(180)
    world.look()
    assert world.feed.snapshot()[1].rule_count == 2, "the count is that of the time of the last proof"
    world.prove()
    assert world.known == {2}
    position = world.feed.position
    world.rows.append(rule(3, START))
    world.look()
    world.prove()
    assert (world.known, world.feed.position) == ({2}, position)


def test_the_same_rule_under_another_number_counts_once() -> None:
    world = World([rule(1, subject=7), rule(2, subject=7, generation=1), rule(3, subject=7, generation=2)])
    world.feed.refresh()
    position = world.feed.position
    world.rows.append(rule(4, subject=7))
    world.prove()
    assert world.feed.position == position == 3
    assert world.feed.snapshot()[1].rule_count == 3


def test_a_watcher_gets_what_arrived_after_its_position_in_order() -> None:
    world = World([rule(1), rule(5)])
    world.feed.refresh()
    first = world.feed.snapshot()[1].position
    world.rows.append(rule(6))
    world.look()
    second = world.feed.snapshot()[1].position
    world.rows += [rule(3), rule(7)]
    world.prove()
    assert [each.seq for each in world.feed.since(first)[0]] == [6, 7, 3]
    assert [each.seq for each in world.feed.since(second)[0]] == [7, 3]
    assert world.feed.since(world.feed.position)[0] == []


def crowd(first: int, count: int) -> Iterable[Revocation]:
    return (rule(seq) for seq in range(first, first + count))


def test_a_watcher_that_lags_too_far_behind_is_told_so() -> None:
    world = World()
    world.feed.refresh()
    begin = world.feed.position
    for first in range(1, 2 * KEPT + 2, KEPT // 2):
        world.rows = list(crowd(first, KEPT // 2))  # Only the new ones, to be quick; the others are known.
        world.look()
    with pytest.raises(TooFarBehind):
        world.feed.since(begin)
    recent, _ = world.feed.since(world.feed.position - KEPT)
    assert len(recent) == KEPT
    assert recent[-1].seq == world.feed.snapshot()[1].seq
    assert len(world.feed._arrived) <= 2 * KEPT, "what is kept for laggards is bounded"


def test_rules_that_mean_nothing_any_more_are_kept_for_nobody() -> None:
    world = World([rule(1, START + timedelta(minutes=1)), rule(2)])
    world.feed.refresh()
    begin = world.feed.position
    world.rows = [rule(seq, START + timedelta(minutes=seq)) for seq in range(3, 8)]
    world.look()
    world.pass_time(HOUR.total_seconds() / 2)
    world.rows = [rule(8)]
    world.prove()
    assert [each.seq for each in world.feed._arrived] == [2, 3, 4, 5, 6, 7, 8], "one before them still matters"
    world.pass_time(HOUR.total_seconds())
    world.rows = [rule(9, START + 3 * HOUR)]
    world.prove()
    assert [each.seq for each in world.feed._arrived] == [9]
    for position in (begin, world.feed.position - 1):
        assert [each.seq for each in world.feed.since(position)[0]] == [9], "who lags behind needs no others"


def test_no_more_rules_are_handed_out_at_once_than_the_contract_says() -> None:
    world = World()
    world.feed.refresh()
    begin = world.feed.position
    world.rows = list(crowd(1, KEPT + 1))
    world.look()
    try:
        handed_out = world.feed.since(begin)[0]
    except TooFarBehind:
        return
    assert len(handed_out) <= 20_000


def test_who_resumes_gets_what_is_new_and_only_that() -> None:
    world = World([rule(1), rule(5), rule(6)])
    world.feed.refresh()
    for seq, new in ((0, [1, 5, 6]), (1, [5, 6]), (5, [6]), (6, [])):
        rules, bookmark = world.feed.resume(place(world, seq), seq)
        assert [each.seq for each in rules] == new
        assert bookmark == world.feed.snapshot()[1]


def place(world: World, seq: int) -> str:
    """Return the history that a watcher was told with the rule of this number."""
    last = next((each for each in (*world.rows, world.feed._last) if each and each.seq == seq), None)
    return world.feed._history(last)


def test_numbers_that_were_given_to_other_rules_after_a_restore_are_no_resume_point() -> None:
    world = World(list(crowd(1, 10)))
    world.feed.refresh()
    told = world.feed.snapshot()[1]
    restored = World([*crowd(1, 8), rule(9, subject=900), rule(10, subject=1000), rule(11, subject=1100)])
    restored.feed.refresh()
    with pytest.raises(ResumePointUnknown):
        restored.feed.resume(told.history, told.seq)
    assert [each.seq for each in restored.feed.resume(place(world, 8), 8)[0]] == [9, 10, 11]


@pytest.mark.parametrize(
    ("history", "seq"), [("history", 5), ("history", 4), ("another", 3), ("", 0), ("History", 3), ("history", 7)]
)
def test_a_resume_point_of_another_history_or_ahead_of_this_one_is_unknown(history: str, seq: int) -> None:
    world = World([rule(1), rule(5), rule(6)])
    world.feed.refresh()
    with pytest.raises(ResumePointUnknown):
        world.feed.resume(history, seq)


def test_the_end_of_the_history_stays_known_after_its_last_rule_has_expired() -> None:
    world = World([rule(9, START + timedelta(seconds=30))])
    world.feed.refresh()
    world.pass_time(300)
    world.rows = []
    world.prove()
    assert world.feed.resume(place(world, 9), 9)[0] == ()


def test_a_proof_by_a_clock_that_was_set_back_leaves_nothing_out() -> None:
    world = World()
    world.feed.refresh()
    world.now -= timedelta(seconds=60)
    world.rows.append(rule(1, world.now - timedelta(seconds=30)))
    world.prove()
    assert world.rows[0].expires_at > world.feed.snapshot()[1].read_time
    assert world.known == {1}


def test_a_restored_database_does_not_stop_new_rules() -> None:
    world = World(list(crowd(1, 10)))
    world.feed.refresh()
    world.rows = [*crowd(1, 4), rule(5, subject=500)]
    world.look()
    assert UUID(int=500) not in {each.subject for each in world.feed.snapshot()[0]}, "late: its number was given before"
    world.prove()
    assert UUID(int=500) in {each.subject for each in world.feed.snapshot()[0]}


def test_a_proof_takes_its_share_of_the_databases_time_and_no_more() -> None:
    world = World([rule(1)], read_seconds=0.01)
    world.feed.refresh()
    begin = world.uptime
    while world.uptime < begin + 20:
        world.pass_time(0.1)
        world.feed.refresh()
    proofs = world.reads.count("counted_after")
    assert 0.8 * 20 / (PROOF_SHARE * 0.01) <= proofs <= 20 / (PROOF_SHARE * 0.01) + 1


@pytest.mark.parametrize("read_seconds", [0.5, 3.0, 10.0])
def test_s3_one_slow_reading_does_not_make_everybodys_knowledge_stale(read_seconds: float) -> None:
    world = World([rule(1)])
    world.feed.refresh()
    world.pass_time(1)
    world.read_seconds = read_seconds  # As when the database fails over: the first read times out, the second answers.
    world.feed.refresh()
    world.read_seconds = 0.001
    proved = world.feed.snapshot()[1].read_uptime
    while world.feed.snapshot()[1].read_uptime == proved:
        world.pass_time(0.1)
        world.feed.refresh()
        assert world.uptime - read_seconds - proved < STALE_SECONDS


@dataclass
class Watcher:
    """Keeps rules as docs/local-verification.md tells a watcher to, and counts them."""

    rules: dict[Revocation, Revocation]
    bookmark: Bookmark

    def take(self, rules: Iterable[Revocation], bookmark: Bookmark) -> None:
        """Apply a delta."""
        self.rules |= {each: each for each in rules}
        self.bookmark = bookmark

    def count(self) -> int:
        """Drop what has expired and return how many rules are left."""
        self.rules = {key: each for key, each in self.rules.items() if each.expires_at > self.bookmark.read_time}
        return len(self.rules)


seconds = st.floats(min_value=0, max_value=400, allow_nan=False)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(-130, 600)),  # a rule whose tokens end so many seconds from now
        st.tuples(st.just("hold"), st.integers(-130, 600)),  # the same, in a transaction that stays open
        st.tuples(st.just("commit"), st.integers(0, 5)),  # one of those
        st.tuples(st.just("roll back"), st.integers(0, 5)),
        st.tuples(st.just("wait"), seconds),
        st.tuples(st.just("purge"), st.just(0)),
        st.tuples(st.just("look"), st.just(0)),
        st.tuples(st.just("prove"), st.just(0)),
        st.tuples(st.just("away"), st.just(0)),
        st.tuples(st.just("watch"), st.just(0)),
        st.tuples(st.just("resume"), st.integers(0, 5)),
        st.tuples(st.just("hear"), st.integers(0, 5)),
    ),
    max_size=60,
)


@settings(max_examples=300, deadline=None)
@given(steps)
@example([("watch", 0), ("write", 0), ("look", 0), ("wait", 300), ("prove", 0), ("hear", 0)])
def test_s4_whatever_happens_no_watcher_counts_otherwise_and_a_proof_leaves_nothing_out(
    happened: list[tuple[str, float]],
) -> None:
    world = World()
    world.feed.refresh()
    held: list[Revocation] = []
    watchers: list[Watcher] = []
    seq = 0
    for what, number in happened:
        if what in ("write", "hold"):
            seq += 1
            (world.rows if what == "write" else held).append(rule(seq, world.now + timedelta(seconds=number)))
        elif what in ("commit", "roll back") and held:
            each = held.pop(int(number) % len(held))
            world.rows += [each] if what == "commit" else []
        elif what == "wait":
            world.pass_time(number)
        elif what == "purge":
            world.rows = [each for each in world.rows if each.expires_at > world.now - timedelta(minutes=5)]
        elif what == "look":
            world.look()
        elif what == "prove":
            world.prove()
            _, bookmark = world.feed.snapshot()
            mattering = {each for each in world.rows if each.expires_at > bookmark.read_time}
            assert set(world.feed.snapshot()[0]) == mattering
        elif what == "away":
            world.is_away = True
            with pytest.raises(StorageUnavailable):
                world.feed.refresh()
            world.is_away = False
        elif what == "watch":
            rules, bookmark = world.feed.snapshot()
            watchers.append(Watcher({each: each for each in rules}, bookmark))
        elif what == "resume" and watchers:
            # A resumed watcher may have missed what was late meanwhile, and has to notice it.
            watcher = watchers[int(number) % len(watchers)]
            try:
                rules, bookmark = world.feed.resume(watcher.bookmark.history, watcher.bookmark.seq)
            except ResumePointUnknown:  # Its last rule has expired here. It begins again.
                watchers.remove(watcher)
                continue
            missed = set(world.feed.snapshot()[0]) - watcher.rules.keys() - set(rules)
            watcher.take(rules, bookmark)
            if missed:
                assert watcher.count() != bookmark.rule_count
                watchers.remove(watcher)
        elif what == "hear" and watchers:
            watcher = watchers[int(number) % len(watchers)]
            watcher.take(*world.feed.since(watcher.bookmark.position))
        for watcher in watchers:
            assert watcher.count() == watcher.bookmark.rule_count


@pytest.mark.parametrize("hours", [1, 49])
def test_w1_rules_that_were_forgotten_while_the_clock_was_ahead_come_back_together_with_the_time(hours: int) -> None:
    world = World([rule(number, START + timedelta(minutes=30)) for number in range(1, 6)])
    world.feed.refresh()
    position = world.feed.position
    world.now += hours * HOUR
    world.prove()
    assert not world.known
    world.now -= hours * HOUR
    world.rows.append(rule(6))
    seen: list[Bookmark] = []
    world.looked = lambda: seen.append(world.feed.snapshot()[1])
    world.prove()
    assert world.known == {1, 2, 3, 4, 5, 6}
    # A watcher drops what is over at the read time, so none is to be there before it.
    assert [(bookmark.read_time > START + HOUR, bookmark.rule_count) for bookmark in seen] == [(True, 0), (True, 1)]
    arrived, bookmark = world.feed.since(position)
    assert {each.seq for each in arrived} == {1, 2, 3, 4, 5, 6}
    assert bookmark.rule_count == 6
    assert bookmark.read_time < START + HOUR
