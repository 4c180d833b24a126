"""Moments and lengths of time."""

from datetime import UTC, datetime

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def timestamp(moment: datetime) -> Timestamp:
    """Return a moment as the wire has it, to the microsecond."""
    since = moment - _EPOCH
    return Timestamp(seconds=since.days * 86400 + since.seconds, nanos=since.microseconds * 1000)


def duration(seconds: float) -> Duration:
    """Return a length of time as the wire has it, to the microsecond."""
    whole, rest = divmod(round(seconds * 1_000_000), 1_000_000)
    return Duration(seconds=whole, nanos=rest * 1000)
