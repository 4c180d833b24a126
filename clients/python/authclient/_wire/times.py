"""Moments and lengths of time as messages say them."""

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp


def seconds(value: Timestamp | Duration) -> float:
    """Return a moment or a length of time in seconds."""
    return value.seconds + value.nanos / 1e9
