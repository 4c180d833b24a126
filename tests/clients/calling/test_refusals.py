"""What the caller of a service is told, and what is made of what a service tells."""

import grpc
import pytest
from authclient import Refused, Session, reason_of, retry_after_of, violations_of
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from tests.clients.calling.calls import call, refused
from tests.clients.guarded import UNAUTHENTICATED, Guarded
from tests.clients.token_server import TokenServer


def details(*parts: AnyMessage) -> bytes:
    return bytes(Status(code=16, details=parts).SerializeToString())


def error_info(value: bytes) -> AnyMessage:
    return AnyMessage(type_url="type.googleapis.com/google.rpc.ErrorInfo", value=value)


FOREIGN = {
    "no message": b"\xff\xff\xff",
    "a message that ends too early": details(AnyMessage(type_url="x"))[:-1],
    "details that are no message": details(error_info(b"\xff\xff")),
    "a reason that is no text": details(error_info(b"\x0a\x01\xff")),
    "nothing": b"",
    "another type": details(AnyMessage(type_url="type.googleapis.com/shop.v1.Reason", value=b"\xff")),
    "another domain": details(error_info(ErrorInfo(reason="TOKEN_EXPIRED", domain="shop").SerializeToString())),
}


@pytest.mark.parametrize("what", FOREIGN)
def test_what_a_foreign_service_says_gives_no_reason_and_raises_nothing(what: str) -> None:
    metadata = (("grpc-status-details-bin", FOREIGN[what]),)
    assert (reason_of(metadata), violations_of(metadata), retry_after_of(metadata)) == (None, {}, None)


@pytest.mark.parametrize("metadata", [None, (), (("other", "entry"),)])
def test_nothing_is_read_where_no_details_are(metadata: object) -> None:
    assert (reason_of(metadata), violations_of(metadata), retry_after_of(metadata)) == (None, {}, None)


def test_fields_are_named_with_all_that_is_wrong_with_them_and_the_time_to_wait_is_in_seconds() -> None:
    request = BadRequest()
    for field, description in (("password", "is too short"), ("user_name", "is required"), ("password", "is common")):
        request.field_violations.add(field=field, description=description)
    packed = [AnyMessage(), AnyMessage()]
    packed[0].Pack(request)
    packed[1].Pack(RetryInfo(retry_delay=Duration(seconds=1, nanos=500_000_000)))
    metadata = (("other", "entry"), ("grpc-status-details-bin", details(*packed)))
    assert violations_of(metadata) == {"password": "is too short; is common", "user_name": "is required"}
    assert retry_after_of(metadata) == 1.5


def test_a_call_that_is_refused_with_foreign_bytes_ends_as_the_service_says(
    server: TokenServer, caller: Session, shop_channel: grpc.Channel
) -> None:
    def speak(_: bytes, context: grpc.ServicerContext) -> bytes:
        context.set_trailing_metadata((("grpc-status-details-bin", b"\xff\xff\xff"),))
        context.abort(UNAUTHENTICATED, "foreign")

    server.on_hold = speak
    error = refused(lambda: call(shop_channel, request=b"hold"))
    assert (error.code(), error.details()) == (UNAUTHENTICATED, "foreign")
    assert (server.seen, server.refreshes) == (["access-1"], [])


def test_who_sends_no_token_is_told_how_to_send_one(shop: Guarded) -> None:
    found = shop.call("unary_unary")
    assert found.details == 'Send one access token, as one entry "authorization: Bearer <token>".'
    assert Status.FromString(dict(found.trailing)["grpc-status-details-bin"]).message == found.details


def test_every_other_refusal_of_a_token_has_one_text() -> None:
    reasons = ("TOKEN_INVALID", "TOKEN_EXPIRED", "TOKEN_NOT_YET_VALID", "TOKEN_OUTDATED", "SESSION_ENDED")
    assert {Refused(reason).details for reason in reasons} == {"The token is not accepted. Refresh it or log in again."}
