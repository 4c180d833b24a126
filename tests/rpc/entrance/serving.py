"""A small server behind the entrance, with methods that do what a test wants to see."""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from authservice.transport.entrance.entrance import Entrance, Terms
from authservice.transport.entrance.grpcio import Call
from authservice.transport.entrance.line import Answer, Together

SERVICE = "test.v1.Entrance"
THREADS = 2


def status(code: grpc.StatusCode, text: str) -> grpc.Status:
    """Return a status as the entrance takes it."""
    return rpc_status.to_status(Status(code=code.value[0], message=text))


def terms(**changes: Any) -> Terms:
    """Return terms whose refusals say in one word what they are for."""
    exhausted, late = grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.DEADLINE_EXCEEDED
    usual: dict[str, Any] = {
        "overloaded": status(exhausted, "overloaded"),
        "request_missing": status(late, "request missing"),
        "too_late": status(late, "too late"),
        "stopping": status(grpc.StatusCode.UNAVAILABLE, "stopping"),
        "unforeseen": lambda method: status(grpc.StatusCode.INTERNAL, f"unforeseen in {method}"),
        "most_working": 64,
    }
    return Terms(**usual | changes)


@dataclass
class Served:
    """A running server, and the gates that its handlers wait at."""

    port: int = 0
    entrance: Entrance = field(init=False)
    hold: threading.Event = field(default_factory=threading.Event)
    batches: list[int] = field(default_factory=list)
    """How many calls were answered together, batch by batch."""
    entered: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    """Released for each call of Held that a handler has got, and for each batch of HeldTogether."""

    def echo(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        """Answer with the request, or do as it says."""
        if request == b"abort":
            context.set_trailing_metadata((("key", "value"),))
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "as asked")
        if request == b"raise":
            raise ValueError("as asked")
        return request

    def held(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        """Answer when the test says so."""
        self.entered.release()
        self.hold.wait(30)
        return request

    def together(self, calls: Sequence[Call]) -> list[Answer]:
        """Answer each with its request, or refuse it."""
        self.batches.append(len(calls))
        if any(call.message == b"raise" for call in calls):
            raise ValueError("as asked")
        refusal = status(grpc.StatusCode.FAILED_PRECONDITION, "as asked")
        return [refusal if call.message == b"abort" else call.message or b"" for call in calls]

    def held_together(self, calls: Sequence[Call]) -> list[Answer]:
        """Answer when the test says so."""
        self.batches.append(len(calls))
        self.entered.release()
        self.hold.wait(30)
        if any(call.message == b"raise" for call in calls):
            raise ValueError("as asked")
        return [call.message or b"" for call in calls]

    def many(self, request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        """Answer with each byte."""
        for byte in request:
            yield bytes([byte])


def takes(call: Call) -> bool:
    """Tell whether a call of Together may be answered so."""
    if call.message == b"raise at the door":
        raise ValueError("as asked")
    return call.message != b"alone"


@contextmanager
def served(**changes: Any) -> Iterator[Served]:
    """Yield a server of two threads. The changes are to its terms."""
    pool = ThreadPoolExecutor(THREADS)
    running = Served()
    together = {
        f"/{SERVICE}/Together": Together(running.together, takes),
        f"/{SERVICE}/HeldTogether": Together(running.held_together),
    }
    running.entrance = Entrance(pool, together, terms(**changes))
    server = grpc.server(pool, interceptors=[running.entrance], options=(("grpc.so_reuseport", 0),))
    running.port = server.add_insecure_port("127.0.0.1:0")
    echo: Any = grpc.unary_unary_rpc_method_handler(running.echo)
    many: Any = grpc.unary_stream_rpc_method_handler(running.many)
    handlers: dict[str, Any] = {"Echo": echo, "Together": echo, "HeldTogether": echo, "Many": many}
    handlers["Held"] = grpc.unary_unary_rpc_method_handler(running.held)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    server.start()
    try:
        yield running
    finally:
        running.hold.set()
        server.stop(0).wait()
        running.entrance.close()
        pool.shutdown()
