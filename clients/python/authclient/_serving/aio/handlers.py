"""Running the handlers of a service: written for asyncio, or for threads and with streams."""

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from authclient._judging.verified import Verified
from authclient._serving import callers
from authclient._serving.aio.blocking import BlockingContext, blocking_iterator, in_thread, write_all
from authclient._serving.interception import Handler

Driver: TypeAlias = Callable[[Any, Any, Verified | None], Awaitable[Any]]
"""Runs a service's handler: request or requests, context, and who is calling."""


def driver(handler: Handler, behavior: Callable[..., Any]) -> Driver:
    """Return what runs a handler that is no asynchronous generator."""
    return known(behavior) if inspect.iscoroutinefunction(behavior) else _from_blocking(behavior, handler)


def known(behavior: Callable[..., Awaitable[Any]]) -> Driver:
    """Return what runs a handler that knows meanwhile who is calling."""

    async def drive(request: Any, context: Any, verified: Verified | None) -> Any:
        if verified is None:
            return await behavior(request, context)
        callers.remember(context, verified)
        try:
            return await behavior(request, context)
        finally:
            callers.forget(context)

    return drive


def _from_blocking(behavior: Callable[..., Any], handler: Handler) -> Driver:
    # Run here and not by grpc, which gives such a handler no way to be ended while it waits.
    async def drive(request: Any, context: Any, verified: Verified | None) -> Any:
        blocking = BlockingContext(context)
        requests = blocking_iterator(request, blocking) if handler.request_streaming else request

        def serve() -> Any:
            if verified is not None:
                callers.remember(blocking, verified)
            try:
                result = behavior(requests, blocking)
                return write_all(iter(result), blocking, context.write) if handler.response_streaming else result
            finally:
                callers.forget(blocking)

        try:
            return await in_thread(serve)
        finally:
            blocking.end()

    return drive
