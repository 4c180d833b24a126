"""Work that is told once, for threads and for event loops.

A generator tells it. It yields a plain value, a step, wherever something has to be waited for, and gets back what came
of it: a result, or an exception, as if it had waited itself. Who drives it waits in their own way.
"""

from collections.abc import Awaitable, Callable, Generator
from typing import Any, TypeVar

Step = TypeVar("Step")
Result = TypeVar("Result")


def in_thread(steps: Generator[Step, Any, Result], wait: Callable[[Step], Any]) -> Result:
    """Do the work in this thread. Returns what the generator returns, and raises what it raises."""
    try:
        step = next(steps)
        while True:
            try:
                outcome = wait(step)
            except BaseException as error:
                step = steps.throw(error)
            else:
                step = steps.send(outcome)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


async def in_task(steps: Generator[Step, Any, Result], wait: Callable[[Step], Awaitable[Any]]) -> Result:
    """As `in_thread`, in a task of an event loop. Where that is cancelled, the generator hears of it."""
    try:
        step = next(steps)
        while True:
            try:
                outcome = await wait(step)
            except BaseException as error:
                step = steps.throw(error)
            else:
                step = steps.send(outcome)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
