"""Letting synchronous handlers be called, on both kinds of server."""

from collections.abc import Callable
from typing import Any, NoReturn

import grpc

from authclient._judging.guard import AwaitView, Guard, Result, Step, Steps
from authclient._judging.rules import Rule
from authclient._judging.verified import Ask, Verified
from authclient._serving import callers
from authclient._serving.contexts import filtered
from authclient._waiting.steps import in_thread
from authclient._wire.metadata import Metadata
from authclient._wire.refusals import Refused


class Gate:
    """Does in threads what a guard tells."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    def unary(self, method: str, rule: Rule, behavior: Callable[..., Any]) -> Callable[..., Any]:
        """Return a handler of one request and one answer, guarded."""

        def call(request: Any, context: grpc.ServicerContext) -> Any:
            metadata = context.invocation_metadata()
            verified = self.admit(method, rule, context, metadata)
            context = filtered(context, metadata)
            if verified is None:
                return behavior(request, context)
            callers.remember(context, verified)
            try:
                return behavior(request, context)
            finally:
                callers.forget(context)

        return call

    def admit(self, method: str, rule: Rule, context: grpc.ServicerContext, metadata: Metadata) -> Verified | None:
        """Return who is calling, or None where nobody has to say. Aborts the call if it is refused."""
        try:
            found = self._guard.admission(method, rule, metadata)
        except Refused as refused:
            abort(context, refused)
        if isinstance(found, Ask):
            return self.do(self._guard.admission_after(method, rule, found, context), context)
        return found

    def do(self, steps: Steps[Result], context: grpc.ServicerContext) -> Result:
        """Do the steps of a call. Aborts the call if they raise Refused."""
        try:
            return in_thread(steps, self._wait)
        except Refused as refused:
            abort(context, refused)

    def _wait(self, step: Step) -> object:
        if isinstance(step, AwaitView):
            return step.ready.wait(step.seconds)
        return self._guard.trust.ask(step.question, step.seconds)


def abort(context: grpc.ServicerContext, refused: Refused) -> NoReturn:
    """End a call with a refusal. grpc raises a bare Exception to unwind it."""
    refused.forget_frames()
    context.set_trailing_metadata(refused.trailing_metadata)
    context.abort(refused.code, refused.details)
    raise AssertionError("abort returned")
