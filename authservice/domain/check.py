"""One step of a judgement, for people to read."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """What one step has come to. `passed` is None where an earlier failure left nothing to look at."""

    name: str
    passed: bool | None
    detail: str
