"""Who calls the handler that an interceptor returns: grpc itself, or an interceptor before it that wraps handlers.

grpc alone knows the shape in which a stream can be ended while its handler waits. To others a handler has to look like
what it guards. And grpc does not say where in its list an interceptor stands, so that is read from who is asking.
"""

import importlib
import sys
from types import CodeType


def _code(name: str) -> CodeType | None:
    """Return a part of what calls interceptors in grpc, or None where it is made in another way."""
    try:
        pipeline = importlib.import_module("grpc._interceptor")._ServicePipeline
    except (ImportError, AttributeError):
        return None
    return getattr(getattr(pipeline, name, None), "__code__", None)


_ASKS_ONE, _ASKS_THE_FIRST = _code("_intercept_at"), _code("execute")


def is_first() -> bool:
    """Tell, within `intercept_service`, whether grpc itself calls what that returns.

    True for the first interceptor of a server's list alone, where grpc asks it directly. In doubt it is not: a handler
    of the ordinary shape works everywhere.
    """
    asking = sys._getframe(2)
    before = asking.f_back
    return asking.f_code is _ASKS_ONE and before is not None and before.f_code is _ASKS_THE_FIRST
