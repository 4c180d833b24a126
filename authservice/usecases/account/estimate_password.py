"""EstimatePassword: what a password would be worth to somebody who is choosing one."""

from dataclasses import dataclass, field

from authservice.domain.deadline import Deadline
from authservice.domain.fields import Fields, bounded_text
from authservice.domain.strength import Strength
from authservice.ports import PasswordStrength


@dataclass(frozen=True, slots=True)
class Candidate:
    """A password that somebody thinks of, and whose it would be."""

    password: str = field(repr=False)
    user_name: str = ""
    email: str = ""


@dataclass(frozen=True, slots=True)
class EstimatePassword:
    """Judges passwords and stores nothing."""

    strength: PasswordStrength

    def __call__(self, request: Candidate, deadline: Deadline) -> Strength:
        """Return the estimate. Raises InvalidInput, Overloaded, DeadlineTooShort, PasswordCheckUnavailable."""
        fields = Fields()
        fields.read("user_name", bounded_text, request.user_name, most=254)
        fields.read("email", bounded_text, request.email, most=254)
        fields.require_valid()
        return self.strength.estimate(request.password, [request.user_name, request.email], deadline)
