"""OpenTelemetry, as a process has it that wants its calls traced."""

import contextlib
from collections.abc import Iterator
from typing import Any

from opentelemetry import trace
from opentelemetry.instrumentation.grpc import GrpcAioInstrumentorClient, GrpcInstrumentorClient
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

# A process has one provider. The instrumentation of synchronous channels takes no other, whatever it is given.
_provider = TracerProvider()
_kept = InMemorySpanExporter()
_provider.add_span_processor(SimpleSpanProcessor(_kept))
trace.set_tracer_provider(_provider)


class Spans:
    """What was traced."""

    def __init__(self) -> None:
        _kept.clear()

    @property
    def names(self) -> set[str]:
        """The methods of the calls that are over."""
        return {span.name for span in _kept.get_finished_spans()}


@contextlib.contextmanager
def traced_clients() -> Iterator[Spans]:
    """Trace what this process calls, of both kinds, by channels that are made from now on."""
    spans = Spans()
    kinds: tuple[Any, ...] = GrpcInstrumentorClient, GrpcAioInstrumentorClient
    instrumentors = [kind() for kind in kinds]
    for each in instrumentors:
        each.instrument()
    try:
        yield spans
    finally:
        for each in instrumentors:
            each.uninstrument()
