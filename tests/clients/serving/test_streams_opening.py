"""A stream whose session ends between the judgement and its beginning never reaches the service's handler."""

from typing import Any

import pytest
from authclient import Trust

from tests.clients.aio_guarded import AioGuarded
from tests.clients.guarded import STREAMS, Guarded, every_kind
from tests.clients.noted import Noted
from tests.clients.scripted import GOOD, ended
from tests.clients.shapes import OPEN_SHAPES, name


def revoke_while_opening(trust: Trust, leases: Any, patch: pytest.MonkeyPatch, *, by_review: bool) -> None:
    """Let the session end after the call was judged, and before or after another thread looks at open streams."""
    judge = leases._judge

    class Adding(set[Any]):
        def add(self, lease: Any) -> None:
            super().add(lease)
            trust.knowledge.view.add(ended())

    def judged(lease: Any, verified: Any) -> Any:
        if by_review:
            leases._end(lease, verified, _refusal(judge, lease, verified))
        return judge(lease, verified)

    patch.setattr(leases, "_leases", Adding())
    patch.setattr(leases, "_judge", judged)


def _refusal(judge: Any, lease: Any, verified: Any) -> Any:
    try:
        judge(lease, verified)
    except Exception as error:
        return error
    raise AssertionError("it was not refused")


@pytest.mark.parametrize("by_review", [False, True])
def test_on_a_synchronous_server(trust: Trust, monkeypatch: pytest.MonkeyPatch, by_review: bool) -> None:
    worked: list[object] = []

    def work(requests: list[bytes], context: Any) -> list[bytes]:
        worked.append(context)
        return requests

    with Guarded(trust, every_kind(work)) as shop:
        assert shop.interceptor
        revoke_while_opening(trust, shop.interceptor._leases, monkeypatch, by_review=by_review)
        for kind in STREAMS:
            assert shop.call(kind, metadata=GOOD).reason == "SESSION_ENDED", kind
        assert shop.leases == 0
    assert worked == []


@pytest.mark.parametrize("by_review", [False, True])
def test_on_an_asyncio_server(trust: Trust, noted: Noted, monkeypatch: pytest.MonkeyPatch, by_review: bool) -> None:
    with AioGuarded(trust, noted.by_shape) as served:
        assert served.interceptor
        revoke_while_opening(trust, served.interceptor._leases, monkeypatch, by_review=by_review)
        for shape in OPEN_SHAPES:
            assert served.call(shape, metadata=GOOD).reason == "SESSION_ENDED", name(shape)
        assert served.leases == 0
    assert noted.callers == []
