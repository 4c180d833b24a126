"""What of a call nothing but the garbage collector would free."""

import contextlib
import gc
from collections.abc import Iterator

_SERVED = ("RequestCallEvent", "RPCState")
"""What grpc keeps of a call that it serves, by threads and in a loop. Connections hang on it."""


@contextlib.contextmanager
def leftover_calls() -> Iterator[list[str]]:
    """Yield a list that in the end has an entry for each served call that waits for the collector."""
    found: list[str] = []
    gc.collect()
    gc.disable()
    try:
        yield found
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        found += [type(each).__name__ for each in gc.garbage if type(each).__name__ in _SERVED]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
