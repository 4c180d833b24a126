"""What a password is worth."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Strength:
    """An estimate for somebody who is choosing a password.

    `bits` is the logarithm of the guesses that it costs. `reason` and `problem` say, for programs and for people, why
    it would be refused; both are empty for one that would be taken. `advice` holds sentences.
    """

    bits: float
    reason: str
    problem: str
    advice: tuple[str, ...]

    @property
    def is_acceptable(self) -> bool:
        """Whether it would be taken."""
        return not self.reason
