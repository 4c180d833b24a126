"""Calls through a channel that others may have put something around, whose calls are then not always grpc's.

What OpenTelemetry returns for a stream of answers is a generator: it has the answers, and neither `cancel` nor `code`.
"""

import types
from collections.abc import Callable
from typing import Any

UNSTOPPABLE_SECONDS = 30.0
"""How long a stream may last that cannot be ended from here: so much later, at most, it is known to be silent."""


def begin(method: Callable[..., Any], request: Any) -> Any:
    """Begin a call that lasts. One that nobody could end gets a time."""
    call = method(request)
    return call if can_end(call) else method(request, timeout=UNSTOPPABLE_SECONDS)


def can_end(call: Any) -> bool:
    """Tell whether any thread can end a call."""
    return hasattr(call, "cancel")


def end(call: Any) -> None:
    """End a call, if that can be. Does not wait."""
    if can_end(call):
        call.cancel()
    elif isinstance(call, types.GeneratorType) and not call.gi_running:
        call.close()
