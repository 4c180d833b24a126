"""Running the handlers of a service whose streams may be refused meanwhile: as grpc itself would."""

from collections.abc import Callable
from typing import Any, TypeAlias

import grpc

from authclient._serving.interception import Handler
from authclient._serving.sync.stream import Stream

Driver: TypeAlias = "Callable[[Any, grpc.ServicerContext, Stream], None]"
"""Runs a service's handler: request or requests, context, and where the answers go."""


def driver(handler: Handler) -> Driver:
    """Return what runs the handler."""
    behavior: Any = handler.stream_stream or handler.stream_unary or handler.unary_stream
    if not handler.response_streaming:
        return one_answer(behavior)
    return _self_driving(behavior) if getattr(behavior, "experimental_non_blocking", False) else _many_answers(behavior)


def _self_driving(behavior: Callable[..., Any]) -> Driver:
    def drive(request: Any, context: grpc.ServicerContext, stream: Stream) -> None:
        behavior(request, context, lambda answer: stream.finish() if answer is None else stream.send(answer))

    return drive


def one_answer(behavior: Callable[..., Any]) -> Driver:
    """Return what runs a handler that has one answer."""

    def drive(requests: Any, context: grpc.ServicerContext, stream: Stream) -> None:
        answer = behavior(requests, context)
        if answer is None:
            context.abort(grpc.StatusCode.INTERNAL, "Failed to serialize response!")  # as grpc says
        stream.send(answer)
        stream.finish()

    return drive


def _many_answers(behavior: Callable[..., Any]) -> Driver:
    def drive(request: Any, context: grpc.ServicerContext, stream: Stream) -> None:
        answers = behavior(request, context)
        # By `next` alone, as grpc does it: what a handler returns need not be iterable.
        while (answer := next(answers, None)) is not None and stream.send(answer):
            pass
        stream.finish()

    return drive
