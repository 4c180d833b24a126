"""Rules about access tokens that no longer count, although their signature is good and their time is not over.

Rules and not lists of tokens: one rule covers every token of a session, or every token that a user received before a
change, and none is needed once the last of them has expired. Users' tokens carry a generation rather than a time that
could be compared with one: whole seconds are too coarse, and the clocks of two servers differ.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

LATE = timedelta(seconds=60)
"""How much longer than its tokens a rule is kept: verifiers allow for 30 seconds between two clocks."""

_MINUTE = timedelta(minutes=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Revocation:
    """One rule.

    `subject` is a session, all of whose tokens are over; or, with a positive `min_generation`, a user whose tokens of
    lower generations are: this makes a rule different from others. `token_end` is when the last token that it could
    match expires.
    """

    seq: int = field(compare=False)
    subject: UUID
    min_generation: int
    token_end: datetime = field(compare=False)

    @property
    def expires_at(self) -> datetime:
        """When the rule means nothing any more: a whole minute, so that rules can be dropped and counted together."""
        late = self.token_end + LATE
        return late + (_EPOCH - late) % _MINUTE


def least_token_end(now: datetime) -> datetime:
    """Return the moment after which the tokens of a rule end that still matters at `now`."""
    return now - (now - _EPOCH) % _MINUTE - LATE
