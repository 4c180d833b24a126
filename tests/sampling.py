"""What the ordinary run leaves to `make every-fault`, where each place of each call is tried."""

import os
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")
EVERY = "AUTHSERVICE_TEST_EVERY" in os.environ


def some(places: Sequence[T], step: int = 3) -> list[T]:
    """Return the first place, the last, and every `step`th between them; all where all are asked for."""
    last = len(places) - 1
    return [place for at, place in enumerate(places) if EVERY or at % step == 0 or at == last]
