"""Moments and lengths of time as messages say them, and the clock that ages are told by."""

import functools
import time
from collections.abc import Callable

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

MONOTONIC: Callable[[], float] = (
    functools.partial(time.clock_gettime, time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic
)
"""Seconds since this machine started. Unlike time.monotonic(), CLOCK_BOOTTIME also runs while the machine sleeps."""


def seconds(value: Timestamp | Duration) -> float:
    """Return a moment or a length of time in seconds."""
    return value.seconds + value.nanos / 1e9


def check_seconds(name: str, value: object) -> None:
    """Raise TypeError unless a setting is a number, and ValueError if it is below zero."""
    if not number(name, value) >= 0:
        raise ValueError(f"{name} is {value}; write zero or more seconds")


def number(name: str, value: object) -> float:
    """Return a setting that is a number of seconds. Raises TypeError if it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} is {value!r}; write a number of seconds, such as 10.0")
    return value
