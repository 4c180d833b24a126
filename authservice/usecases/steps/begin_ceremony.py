"""Asking a browser for a passkey."""

from collections.abc import Callable
from dataclasses import dataclass

from authservice.domain.passkey import CEREMONY_LIFE, Ceremony
from authservice.ports import CeremonyTokens, Clock, NewId

BY_PASSKEY = "login"
"""What a ceremony is for in which somebody proves who they are by a passkey of their choice."""
REGISTRATION = "registration"


@dataclass(frozen=True, slots=True)
class BeginCeremony:
    """Makes what a browser is given. Nothing is kept."""

    tokens: CeremonyTokens
    new_id: NewId
    clock: Clock

    def __call__(self, purpose: str, subject: str, options: Callable[[str], str]) -> Ceremony:
        """Return a ceremony for a subject, with the options that belong to its token."""
        until = self.clock() + CEREMONY_LIFE
        token = self.tokens.new(purpose, subject, self.new_id(), until)
        return Ceremony(token, options(token), until)
