"""Reading why a call was refused: what a service says beside the status, in `grpc-status-details-bin`.

Any service may send any bytes. Whoever handles its error is not to meet another, so what cannot be read is not there.
"""

from collections.abc import Iterator
from typing import TypeVar

from google.protobuf.message import DecodeError, Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from authclient._wire.refusals import DOMAIN
from authclient._wire.times import seconds

Detail = TypeVar("Detail", bound=Message)


def reason_of(trailing_metadata: object) -> str | None:
    """Return the reason in the trailing metadata of a refused call, or None if there is none of this service."""
    return next((str(info.reason) for info in _found(trailing_metadata, ErrorInfo) if info.domain == DOMAIN), None)


def violations_of(trailing_metadata: object) -> dict[str, str]:
    """Return what is wrong with a request, by field; nothing if no field was named.

    The field is "" for what is wrong with the request as a whole.
    """
    found: dict[str, list[str]] = {}
    for request in _found(trailing_metadata, BadRequest):
        for violation in request.field_violations:
            found.setdefault(violation.field, []).append(violation.description)
    return {field: "; ".join(descriptions) for field, descriptions in found.items()}


def retry_after_of(trailing_metadata: object) -> float | None:
    """Return after how many seconds a call may be sent again, or None if that was not said."""
    return next((seconds(info.retry_delay) for info in _found(trailing_metadata, RetryInfo)), None)


def _found(trailing_metadata: object, kind: type[Detail]) -> Iterator[Detail]:
    """Yield the details of one kind, as far as they can be read."""
    for key, value in trailing_metadata or ():  # type: ignore[attr-defined]  # pairs, in every flavour of grpc
        if key == "grpc-status-details-bin":
            yield from _unpacked(value, kind)
            return


def _unpacked(details: bytes, kind: type[Detail]) -> Iterator[Detail]:
    try:
        for detail in Status.FromString(details).details:
            found = kind()
            if detail.Unpack(found):
                yield found
    except DecodeError:
        return
