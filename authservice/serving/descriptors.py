"""How many connections the descriptors of this process allow."""

import resource

import structlog

log = structlog.get_logger()

SPARE = 256
"""For all that is no caller's connection: the database's, files, pipes."""


def connections_within(wanted: int) -> int:
    """Return how many connections of callers a process may have, `wanted` at most.

    Raises its own soft limit of descriptors as far as needed and possible. Many systems set it to 1,024: where all
    are taken, grpc accepts nobody and the database cannot be reached either.
    """
    needed = wanted + SPARE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= soft < needed:  # Negative is no limit.
        soft = needed if hard < 0 else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    allowed = wanted if soft < 0 else max(1, min(wanted, soft - SPARE))
    if allowed < wanted:
        log.warning("few_descriptors", connections=allowed, remedy=f"raise the hard limit (ulimit -Hn) to {needed}")
    return allowed
