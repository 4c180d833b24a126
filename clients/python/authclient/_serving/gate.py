"""Letting synchronous handlers be called, on both kinds of server."""

import time
from collections.abc import Callable
from typing import Any, NoReturn

import grpc

from authclient._judging.guard import Guard
from authclient._judging.rules import Rule
from authclient._judging.verified import Ask, Verified
from authclient._serving import callers
from authclient._serving.contexts import filtered
from authclient._view.asking import ASK_SECONDS
from authclient._wire.refusals import Refused

SPARE_SECONDS = 0.05
"""What is left of a caller's deadline for the answer, when the authentication service takes too long to be asked."""


def patience(remaining: float | None) -> float:
    """Return how many seconds asking may take in a call with so many left; None is no deadline."""
    return ASK_SECONDS if remaining is None else max(0.0, min(remaining - SPARE_SECONDS, ASK_SECONDS))


class Gate:
    """Lets synchronous handlers be called, on any kind of server."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    def unary(self, method: str, rule: Rule, behavior: Callable[..., Any]) -> Callable[..., Any]:
        """Return a handler of one request and one answer, guarded."""

        def call(request: Any, context: grpc.ServicerContext) -> Any:
            verified = self.admit(method, rule, context)
            context = filtered(context)
            if verified is None:
                return behavior(request, context)
            callers.remember(context, verified.caller)
            try:
                return behavior(request, context)
            finally:
                callers.forget(context)

        return call

    def admit(self, method: str, rule: Rule, context: grpc.ServicerContext) -> Verified | None:
        """Return who is calling, or None where nobody has to say. Aborts the call if it is refused."""
        if rule.is_public:
            return None
        verified = None
        guard = self._guard
        try:
            metadata = context.invocation_metadata()
            found = guard.start(rule, metadata)
            asked = type(found) is Ask
            verified = self.ask(found, rule, context) if isinstance(found, Ask) else found
            guard.admit(method, rule, verified, asked=asked)
        except Exception as error:
            if refused := guard.refuse(method, rule, error):
                abort(context, refused)
        return verified

    def ask(self, question: Ask, rule: Rule, context: grpc.ServicerContext) -> Verified:
        """Return whose token it is, as Verify says, or the view if that comes in time. Raises Refused."""
        trust = self._guard.trust
        remaining = context.time_remaining()
        until = time.monotonic() + patience(remaining)
        if not trust.is_ready and trust.wait_until_ready(min(trust.patience, until - time.monotonic())):
            found = self._guard.judge(rule, question.token)
            if not isinstance(found, Ask):
                return found
        return trust.ask(question, until - time.monotonic())


def abort(context: grpc.ServicerContext, refused: Refused) -> NoReturn:
    """End a call with a refusal. grpc raises a bare Exception to unwind it."""
    context.set_trailing_metadata(refused.trailing_metadata)
    context.abort(refused.code, refused.details)
    raise AssertionError("abort returned")
