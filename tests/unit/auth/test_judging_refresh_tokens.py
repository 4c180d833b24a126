"""What a refresh token is to its session: judged by its own first use, as far back as the session remembers."""

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from authservice.domain.session import GRACE, MOST_SPENT, Presented, Session, SessionLimits
from authservice.domain.tokens import RefreshToken
from authservice.security.refresh_tokens import SealedRefreshTokens
from authservice.usecases.steps.judge_refresh_token import judge_refresh_token

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ID = UUID(int=7)
TOKENS = SealedRefreshTokens(bytes(32))
TICK = timedelta(microseconds=1)
LIMITS = SessionLimits()


class Line:
    """A session and all its refresh tokens, of which one is spent each second."""

    def __init__(self, generations: int, pause: timedelta = timedelta(seconds=1)) -> None:
        self.tokens = [TOKENS.first(ID)]
        end = NOW + LIMITS.absolute
        self.session = Session(ID, ID, "", NOW, NOW + LIMITS.idle, end, self.tokens[0].hash)
        self.spent_at: list[datetime] = []
        for number in range(generations):
            self.tokens.append(TOKENS.successor(self.tokens[-1]))
            self.spent_at.append(NOW + number * pause)
            self.session = self.session.rotated(self.tokens[-1].hash, self.spent_at[-1], LIMITS)

    def judge(self, token: RefreshToken, now: datetime) -> Presented:
        presented, heir = judge_refresh_token(TOKENS, token, self.session, now)
        assert heir == self.tokens[-1] or presented not in {Presented.CURRENT, Presented.KEPT, Presented.JUST_SPENT}
        return presented


@pytest.mark.parametrize("generations", [1, 2, 3, 20])
def test_each_token_is_answered_until_the_end_of_its_own_grace_and_is_reuse_after_that(generations: int) -> None:
    line = Line(generations)
    assert line.judge(line.tokens[-1], line.spent_at[-1]) is Presented.CURRENT
    for token, spent_at in zip(line.tokens, line.spent_at, strict=False):
        assert line.judge(token, spent_at + GRACE) is Presented.JUST_SPENT
        assert line.judge(token, spent_at + GRACE + TICK) is Presented.REUSED


def test_a_token_of_the_same_session_that_is_not_of_its_line_is_reuse_however_young() -> None:
    line, other = Line(3), Line(3)
    for token in other.tokens[:-1]:
        assert line.judge(token, line.spent_at[-1]) is Presented.REUSED
    assert line.judge(other.tokens[-1], line.spent_at[-1]) is Presented.FOREIGN


def test_a_token_of_a_later_generation_ends_nothing() -> None:
    line = Line(3)
    assert line.judge(TOKENS.successor(line.tokens[-1]), line.spent_at[-1]) is Presented.FOREIGN


def test_what_a_server_of_the_version_before_has_spent_is_known_by_the_last_time_alone() -> None:
    line = Line(3)
    for noted in ((), line.session.spent_at[:-1]):
        line.session = replace(line.session, spent_at=noted)
        assert line.judge(line.tokens[-1], line.spent_at[-1]) is Presented.CURRENT
        assert line.judge(line.tokens[-2], line.spent_at[-1] + GRACE) is Presented.JUST_SPENT
        assert line.judge(line.tokens[-2], line.spent_at[-1] + GRACE + TICK) is Presented.REUSED
        assert line.judge(line.tokens[-3], line.spent_at[-1]) is Presented.REUSED


def test_a_session_remembers_no_more_than_there_is_room_for_and_forgets_nobody_within_grace() -> None:
    line = Line(MOST_SPENT, pause=timedelta(milliseconds=10))
    now = line.spent_at[-1]
    assert line.judge(line.tokens[-1], now) is Presented.KEPT
    assert {line.judge(token, now) for token in line.tokens[:-1]} == {Presented.JUST_SPENT}
    assert line.judge(line.tokens[-1], line.spent_at[0] + GRACE + TICK) is Presented.CURRENT
    later = line.session.rotated(b"", now + timedelta(minutes=1), LIMITS)
    assert later.spent_at == (now + timedelta(minutes=1),)


def test_clocks_of_servers_that_differ_forget_nobody() -> None:
    ahead, behind = NOW + timedelta(seconds=20), NOW - timedelta(seconds=20)
    line = Line(0)
    for moment in itertools.chain([ahead, behind], [NOW]):
        line.tokens.append(TOKENS.successor(line.tokens[-1]))
        line.session = line.session.rotated(line.tokens[-1].hash, moment, LIMITS)
    assert line.session.spent_at == (ahead, behind, NOW)
    assert line.judge(line.tokens[0], NOW) is Presented.JUST_SPENT
