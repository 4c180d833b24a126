"""Which paths of an asyncio server are exempt, and how many of those without a rule are kept."""

from typing import Any

import grpc
import pytest
from authclient import Trust
from authclient.aio import AuthInterceptor

from tests.clients.aio_guarded import AioGuarded
from tests.clients.guarded import KINDS, PUBLIC, outcome, summary
from tests.clients.noted import Noted
from tests.clients.scripted import bearer, token
from tests.clients.stand_ins import Heard


class Everything(grpc.GenericRpcHandler):
    """Answers every path."""

    def __init__(self, handler: Any) -> None:
        self._handler = handler

    def service(self, handler_call_details: Any) -> Any:
        return self._handler


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_answers_every_path_keeps_and_reports_a_limited_number_of_them(
    trust: Trust, noted: Noted, heard: Heard, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("authclient._serving.interception.MOST_OTHER_METHODS", 5)
    extra = [Everything(noted.by_kind[kind])]
    with AioGuarded(trust, {"Open": noted.by_kind["unary_unary"]}, {"Open": PUBLIC}, extra=extra) as shop:
        assert shop.interceptor
        for number in range(20):
            found = outcome(shop.channel, kind, f"/shop.v1.Other/Method{number}", metadata=bearer(token()))
            assert summary(found) == "PERMISSION_DENIED METHOD_WITHOUT_RULE"
        assert outcome(shop.channel, "unary_unary", "/shop.v1.Shop/Open").code is grpc.StatusCode.OK
        assert len(shop.interceptor._wrapped) <= 7
    names = [method for method, _, _ in heard.refusals]
    assert names[:5] == [f"/shop.v1.Other/Method{number}" for number in range(5)]
    assert set(names[6:]) == {"/*"}
    assert len(names) == 20
    assert len(noted.callers) == 1, "the method with a rule"


def test_by_the_name_of_an_exempt_service_nothing_else_can_be_called(trust: Trust, noted: Noted) -> None:
    extra = [Everything(noted.by_kind["unary_unary"])]
    with AioGuarded(trust, {}, extra=extra) as shop:
        for path in ("Health/Check", "Health/List", "Health/Watch"):
            assert outcome(shop.channel, "unary_unary", f"/grpc.health.v1.{path}").code is grpc.StatusCode.OK
        noted.callers.clear()
        for path in ("Health/Repair", "Health/check", "Health/", "Health/Check/"):
            found = outcome(shop.channel, "unary_unary", f"/grpc.health.v1.{path}")
            assert summary(found) == "PERMISSION_DENIED METHOD_WITHOUT_RULE"
    assert noted.callers == []


def test_an_interceptor_of_no_files_says_what_to_give_it(trust: Trust) -> None:
    with pytest.raises(ValueError, match="give the descriptors of your"):
        AuthInterceptor(trust)
