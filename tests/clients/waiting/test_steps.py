"""Work that a generator tells is done by threads and by tasks alike."""

import asyncio
from collections.abc import Callable, Generator
from typing import Any, TypeAlias

import pytest
from authclient._waiting.steps import in_task, in_thread

Steps: TypeAlias = Generator[object, Any, Any]
Drive: TypeAlias = Callable[[Steps, Callable[[Any], Any]], Any]


def by_thread(steps: Steps, wait: Callable[[Any], Any]) -> Any:
    return in_thread(steps, wait)


def by_task(steps: Steps, wait: Callable[[Any], Any]) -> Any:
    async def wait_later(step: object) -> Any:
        await asyncio.sleep(0)
        return wait(step)

    return asyncio.run(in_task(steps, wait_later))


@pytest.fixture(params=[by_thread, by_task])
def drive(request: pytest.FixtureRequest) -> Drive:
    made: Drive = request.param
    return made


def fail(step: object) -> None:
    raise LookupError(step)


def test_each_step_comes_back_as_what_it_came_to(drive: Drive) -> None:
    def add() -> Steps:
        one = yield 1
        two = yield 2
        return one + two

    assert drive(add(), lambda step: 10 * step) == 30


def test_work_without_a_step_waits_for_nothing(drive: Drive) -> None:
    def nothing() -> Steps:
        return "done"
        yield

    assert drive(nothing(), fail) == "done"


def test_a_step_that_fails_is_met_where_it_was_told(drive: Drive) -> None:
    def try_twice() -> Steps:
        try:
            yield "first"
        except LookupError as error:
            return str(error)

    assert drive(try_twice(), fail) == "first"


def test_what_nobody_meets_is_raised_after_what_was_left_to_do(drive: Drive) -> None:
    done: list[str] = []

    def tidy() -> Steps:
        try:
            yield "first"
        finally:
            done.append("tidied")

    with pytest.raises(LookupError, match="first"):
        drive(tidy(), fail)
    assert done == ["tidied"]


def test_work_hears_that_its_task_is_cancelled() -> None:
    heard: list[type[BaseException]] = []

    def told() -> Steps:
        try:
            yield "for good"
        except BaseException as error:
            heard.append(type(error))
            raise

    async def work() -> None:
        begun = asyncio.Event()

        async def wait(_: object) -> None:
            begun.set()
            await asyncio.Event().wait()

        task = asyncio.create_task(in_task(told(), wait))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(work())
    assert heard == [asyncio.CancelledError]
