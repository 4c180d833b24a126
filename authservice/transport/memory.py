"""Having the C library keep little of what is freed.

It keeps that for the next time, and each thread may fill a heap of its own, up to eight a core. An open call takes grpc
some 20 KB: after 2,000 calls at once a worker stays 80 MiB larger, for ever, unless the library is asked to give it
back, which takes some milliseconds.
"""

import ctypes

_M_ARENA_MAX = -8
"""From malloc.h of glibc."""
HEAPS = 2


def share_heaps() -> None:
    """Have the threads of this process share two heaps, where the C library can (glibc). To be called before they are.

    They take turns for the interpreter, so more heaps bring no speed; with sixteen a worker took 4 MB more.
    """
    _call("mallopt", _M_ARENA_MAX, HEAPS)


def give_back() -> None:
    """Return freed memory to the system, where the C library can (glibc)."""
    _call("malloc_trim", 0)


def _call(name: str, *values: int) -> None:
    try:
        function = getattr(ctypes.CDLL(None), name)
    except (OSError, AttributeError):
        return
    function(*values)
