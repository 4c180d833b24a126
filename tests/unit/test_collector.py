"""The garbage collector of a worker, which the command that starts it has switched off."""

import gc
from collections.abc import Iterator

import pytest

from authservice.serving.worker import settle_collector


@pytest.fixture
def collector() -> Iterator[None]:
    """Switch the collector off as the command does, and put it back as it was."""
    before = gc.get_threshold()
    gc.disable()
    yield
    gc.set_threshold(*before)
    gc.enable()


@pytest.mark.usefixtures("collector")
def test_a_worker_collects_garbage_again() -> None:
    settle_collector()
    assert gc.isenabled()
