"""gevent: where it has replaced threads, grpc has to know. Otherwise it waits in a way that stops the whole process."""

import importlib
import sys

COMPLAINT = (
    "gevent has patched this process and grpc has not been told, so the first call would stop it for good. After "
    "gevent.monkey.patch_all(), and before anything of grpc is made, call grpc.experimental.gevent.init_gevent()"
)


def require_grpc_patched() -> None:
    """Raise RuntimeError where a call of grpc would never come back, because threads are gevent's."""
    monkey = sys.modules.get("gevent.monkey")
    if monkey is None or not monkey.is_module_patched("threading"):
        return
    if not getattr(importlib.import_module("grpc._cython.cygrpc"), "g_gevent_activated", True):
        raise RuntimeError(COMPLAINT)
