"""How many connections the descriptors of this process allow."""

import resource

import structlog

log = structlog.get_logger()

SPARE = 256
"""For all that is no connection: files, pipes, what grpc keeps for itself."""
MANY = 1_048_576
"""To this the soft limit is raised where the hard one is no limit, or nearly none."""


def connections_within(wanted: int, addresses: int, of_database: int) -> int:
    """Return how many connections of callers a process may have at each of its addresses, `wanted` at most.

    Raises its own soft limit of descriptors to the hard one, as many systems set it to 1,024. Where all are taken, grpc
    accepts nobody and the database cannot be reached either; so those for the database are kept.

    Args:
        of_database: how many connections it may have there.
    """
    kept = SPARE + of_database
    needed = wanted * addresses + kept
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = max(needed, MANY) if hard < 0 else min(hard, max(needed, MANY))  # Negative is no limit.
    if 0 <= soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        soft = most
    allowed = wanted if soft < 0 else max(1, min(wanted, (soft - kept) // addresses))
    if allowed < wanted:
        log.warning("few_descriptors", connections=allowed, remedy=f"raise the hard limit (ulimit -Hn) to {needed}")
    return allowed
