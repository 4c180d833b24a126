"""The rows of the table."""

import statistics
from collections.abc import Iterable
from dataclasses import dataclass

from benchmarks.flood import Outcome

HEADING = (
    f"{'':<42}{'in flight':>10}{'calls/s':>9}{'min–max':>16}{'p50 ms':>9}{'p99 ms':>9}{'cpu µs':>8}"
    "   ratio (min–max) x what"
)


@dataclass(frozen=True, slots=True)
class Measured:
    """One measurement: what the load achieved, and the server's processor time per answer in microseconds."""

    outcome: Outcome
    cpu: float

    @property
    def rate(self) -> float:
        """Good answers per second."""
        return self.outcome.rate


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of several measurements, and how far they lie apart."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Spread":
        """Return the spread of at least one value."""
        ordered = sorted(values)
        return cls(statistics.median(ordered), ordered[0], ordered[-1])


@dataclass(slots=True)
class Row:
    """One line of the table. A figure that a row does not have is None.

    Attributes:
        in_flight: calls under way at once.
        rate: good answers per second.
        p50, p99: milliseconds, medians over the rounds.
        cpu: the server's processor time per answer in microseconds, median over the rounds.
        ratio: to what `note` names, of rates measured in the same round.
        note: what the ratio is to, or a figure of another kind in words.
    """

    name: str
    in_flight: int | None = None
    rate: Spread | None = None
    p50: float | None = None
    p99: float | None = None
    cpu: float | None = None
    ratio: Spread | None = None
    note: str = ""

    @classmethod
    def of(cls, name: str, in_flight: int, measured: Iterable[Measured]) -> "Row":
        """Return the row of several measurements of one thing."""
        rounds = list(measured)
        return cls(
            name,
            in_flight,
            Spread.of(each.rate for each in rounds),
            statistics.median(each.outcome.percentile(0.5) for each in rounds),
            statistics.median(each.outcome.percentile(0.99) for each in rounds),
            statistics.median(each.cpu for each in rounds),
        )

    def beside(self, ratios: Iterable[float], note: str) -> "Row":
        """Return this row with its ratio to something that was measured in the same rounds."""
        self.ratio, self.note = Spread.of(ratios), note
        return self

    def __str__(self) -> str:
        rate, between, ratio = "", "", ""
        if self.rate:
            rate, between = f"{self.rate.median:,.1f}", f"{self.rate.least:,.0f}–{self.rate.most:,.0f}"
        if self.ratio:
            ratio = f"{self.ratio.median:.2f} ({self.ratio.least:.2f}–{self.ratio.most:.2f}) x "
        return (
            f"{self.name:<42}{self.in_flight or '':>10}{rate:>9}{between:>16}"
            f"{_figure(self.p50, 2):>9}{_figure(self.p99, 2):>9}{_figure(self.cpu, 0):>8}   {ratio}{self.note}"
        ).rstrip()


def _figure(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"
