"""Guarding a servicer where there is no server to intercept: with grpcio-testing."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import grpc
from google.protobuf.descriptor import ServiceDescriptor

from authclient._judging.authority import Authority
from authclient._judging.guard import Guard
from authclient._judging.rules import Policy, Rule, method_name
from authclient._judging.verified import Verified
from authclient._serving import callers
from authclient._serving.contexts import WithMetadata
from authclient._serving.gate import Gate, abort
from authclient._wire.metadata import without_forged
from authclient._wire.refusals import Refused

Behavior = Callable[..., Any]


def guarded(servicer: object, service: ServiceDescriptor, trust: Authority) -> Any:
    """Return a servicer whose methods are judged by their rules before they are called.

    For `grpc_testing.server_from_dictionary({service: guarded(servicer, service, trust)}, …)`. Streams are judged when
    they open, and not ended later. The response of a refused call is None.
    """
    guard = Guard(Policy(service.file), trust)
    gate = Gate(guard)
    methods = {}
    for method in service.methods:
        name, behavior = method_name(method), getattr(servicer, method.name)
        rule = guard.rule(name)
        admit = _refusal(guard, name) if rule is None else _admission(gate, name, rule)
        methods[method.name] = _answers(admit, behavior) if method.server_streaming else _answer(admit, behavior)
    return type("Guarded", (), {name: staticmethod(call) for name, call in methods.items()})()


def _refusal(guard: Guard, name: str) -> Behavior:
    def refuse(context: grpc.ServicerContext) -> NoReturn:
        error = guard.refuse(name, None, Refused("METHOD_WITHOUT_RULE"))
        assert error is not None
        abort(context, error)

    return refuse


def _admission(gate: Gate, name: str, rule: Rule) -> Behavior:
    return lambda context: gate.admit(name, rule, context, context.invocation_metadata())


def _answer(admit: Behavior, behavior: Behavior) -> Behavior:
    def call(request: Any, context: grpc.ServicerContext) -> Any:
        with contextlib.suppress(_Finished), _admitted(admit, context) as seen:
            return behavior(request, seen)

    return call


def _answers(admit: Behavior, behavior: Behavior) -> Behavior:
    def call(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        with contextlib.suppress(_Finished), _admitted(admit, context) as seen:
            yield from behavior(request, seen)

    return call


@contextlib.contextmanager
def _admitted(admit: Behavior, context: Any) -> Iterator[Any]:
    """Yield the context that a handler sees. Raises _Finished if the call is refused."""
    verified: Verified | None = admit(_Refusable(context))
    # Metadata of its own, by which the caller is found: a test may give the same to several calls.
    seen = WithMetadata(context, without_forged(context.invocation_metadata()))
    if verified is not None:
        callers.remember(seen, verified)
    try:
        yield seen
    finally:
        callers.forget(seen)


class _Finished(Exception):
    """The call is over, and its status is set."""


class _Refusable:
    """A context of grpcio-testing whose calls keep their trailing metadata when they are refused. It drops them."""

    def __init__(self, context: Any) -> None:
        self._context = context

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    def abort(self, code: grpc.StatusCode, details: str) -> NoReturn:
        """Let the call finish with a status."""
        self._context.set_code(code)
        self._context.set_details(details)
        raise _Finished
