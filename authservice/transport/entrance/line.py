"""Calls of one method that are answered together, by one thread.

It takes all who stand in line, answers them from one look at the database, and begins again. So no answer rests on a
read that began before its call was here, and a call that comes alone waits for nobody.
"""

import math
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import grpc

from authservice.transport.entrance.grpcio import Call

Answer: TypeAlias = "bytes | grpc.Status"
"""A serialized response, or the status that ends the call."""
Answerer: TypeAlias = Callable[[Sequence[Call]], Sequence[Answer]]


def _every(_: Call) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Together:
    """How the calls of a method are answered together.

    Args:
        answer_all: returns an answer per call, in their order. Each call has as long as its `until` says.
        takes: which calls stand in line, by their message; the others go the way of all calls. Runs on grpc's serving
            thread, so it only looks.
        wait: seconds after which `busy` is said to a call that still stands in line, because those before it take long.
    """

    answer_all: Answerer
    takes: Callable[[Call], bool] = _every
    wait: float = math.inf
    busy: grpc.Status | None = None


MOST_AT_ONCE = 64
"""More save little: of 64 look-ups in one query each costs a twentieth of one by itself."""


class Line:
    """The calls that wait for an answer, and the thread that gives it. Lives from construction to `close`.

    Args:
        method: full name; names the thread.
        together: answers the calls.
        unforeseen: makes the status for calls whose answers could not be found, with the exception at hand.
        finished: called with each call that is over.
    """

    def __init__(
        self,
        method: str,
        together: Together,
        unforeseen: Callable[[str], grpc.Status],
        finished: Callable[[Call], None],
    ) -> None:
        self._method = method
        self._together = together
        self._unforeseen = unforeseen
        self._finished = finished
        self._arrivals: queue.SimpleQueue[Call | threading.Event | None] = queue.SimpleQueue()
        # Whoever takes a call out of here answers it: the thread, or the clock when the call's time is over.
        self._waiting: dict[Call, None] = {}
        threading.Thread(target=self._run, name=f"line {method.rpartition('/')[2]}", daemon=True).start()

    def takes(self, call: Call) -> bool:
        """Tell whether a call is to stand here."""
        return self._together.takes(call)

    def put(self, call: Call) -> None:
        """Let a call stand in line."""
        self._waiting[call] = None
        self._arrivals.put(call)

    def refuse_late(self, now: float, too_late: grpc.Status) -> None:
        """Refuse those who still stand in line when their time is over: somebody else's answer takes long."""
        for call in list(self._waiting):
            status = too_late if call.until < now else self._together.busy
            is_late = min(call.until, call.since + self._together.wait) < now
            if is_late and status and self._take(call):
                call.refuse(status)
                self._finished(call)

    def await_idle(self, seconds: float) -> None:
        """Return when all who stand in line now are answered, or when the time is over."""
        reached = threading.Event()
        self._arrivals.put(reached)
        reached.wait(seconds)

    def close(self) -> None:
        """End the thread after those who stand in line now."""
        self._arrivals.put(None)

    def _run(self) -> None:
        is_open = True
        while is_open:
            batch = [self._arrivals.get()]
            while len(batch) < MOST_AT_ONCE and not self._arrivals.empty():
                batch.append(self._arrivals.get())
            self._settle([each for each in batch if isinstance(each, Call) and self._take(each)])
            for each in batch:
                if isinstance(each, threading.Event):
                    each.set()
            is_open = None not in batch

    def _take(self, call: Call) -> bool:
        """Take a call out of the line. Tells whether it was still there."""
        return self._waiting.pop(call, self) is None

    def _settle(self, calls: Sequence[Call]) -> None:
        active = [call for call in calls if call.is_active()]
        for call, answer in zip(active, self._answers(active), strict=True):
            if isinstance(answer, bytes):
                call.answer(answer)
            else:
                call.refuse(answer)
        for call in calls:
            self._finished(call)

    def _answers(self, calls: Sequence[Call]) -> Sequence[Answer]:
        if not calls:
            return ()
        try:
            return self._together.answer_all(calls)
        except Exception:
            if len(calls) > 1:  # What is wrong with one is to be no other's trouble.
                return [answer for call in calls for answer in self._answers([call])]
            return [self._unforeseen(self._method)]
