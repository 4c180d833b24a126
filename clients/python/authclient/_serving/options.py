"""Options for a server, under which floods of one caller are no trouble of the others.

For those of guarded services, and for the authentication service itself, which has them from here.
"""

MAX_STREAMS = 1024
"""Calls on one connection. A client that wants more waits, or opens another."""
MAX_PENDING = 8192
MAX_METADATA_BYTES = 8 * 1024
"""Above this, other implementations refuse at random."""
ACKNOWLEDGE_MS = 10_000
IDLE_MS = 300_000
MIN_PING_MS = 5000
"""Between two pings of a client, with or without calls under way; the third that comes too early ends its connection.
Keepalive of 10 to 30 s is usual, and pings that were sent 10 s apart may come closer together."""

SERVER_OPTIONS = (
    # A second server on the same port fails at its start and not by taking half of the calls.
    ("grpc.so_reuseport", 0),
    # Calls at once on one connection, which has any number of them unless told otherwise.
    ("grpc.max_concurrent_streams", MAX_STREAMS),
    # Beyond 1,000 that nobody has taken up yet, core turns calls away at random, those of other connections too.
    ("grpc.server.max_pending_requests", MAX_PENDING),
    ("grpc.server.max_pending_requests_hard_limit", 2 * MAX_PENDING),
    # As other implementations have it; core refuses at random between the two.
    ("grpc.max_metadata_size", MAX_METADATA_BYTES),
    ("grpc.absolute_max_metadata_size", MAX_METADATA_BYTES),
    # For a connection that only says hello, and for one that never agrees to the limits above: until a client has
    # acknowledged them, none of them holds.
    ("grpc.server_handshake_timeout_ms", ACKNOWLEDGE_MS),
    ("grpc.http2.settings_timeout", ACKNOWLEDGE_MS),
    ("grpc.max_connection_idle_ms", IDLE_MS),
    # Callers may have keepalive. Without this the interval is two hours where no call is under way.
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", MIN_PING_MS),
)
"""For `options=` of `grpc.server` and `grpc.aio.server`: pairs of a name and a number. Add your own behind them."""
