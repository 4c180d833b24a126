"""What follows from the settings: how many, how long, how often."""

from collections.abc import Sequence
from datetime import timedelta

from authservice.config import Settings, ThrottleSettings, TokenSettings
from authservice.domain.session import SessionLimits
from authservice.domain.signing_key import RotationPlan
from authservice.domain.throttle import Growing, Steady
from authservice.usecases.steps.admit_attempt import Limits

LATE_TOKENS = timedelta(minutes=5)
"""How much longer than a token's life a retired key is kept: leeway of clocks, and servers that learn of it later."""
SPARE_CONNECTIONS = 8
"""Database connections beyond one per call that may run: for upkeep, health and refusals on their way."""


def pool_size(settings: Settings) -> int:
    """Return how many database connections one worker may have."""
    return settings.threads + settings.hash_queue + SPARE_CONNECTIONS


def hash_threads(settings: Settings, cores: int) -> int:
    """Return how many hashes one worker computes at once, so that all workers together keep every core busy."""
    return settings.hash_threads or max(1, cores // worker_count(settings, cores))


def worker_count(settings: Settings, cores: int) -> int:
    """Return how many processes serve."""
    return settings.workers or (1 if settings.is_sqlite else cores)


def cores_to_keep_to(settings: Settings, cores: Sequence[int], port: int) -> tuple[int, ...]:
    """Return the cores that workers are held to, one each in turn. None where they may go where they like."""
    # The threads of a worker take turns, because the interpreter has one lock, so a second core brings it nothing; and
    # one that wakes another on a second core costs more than the turn is worth. Held to one of two cores, a worker
    # answered 1.7 times as many calls.
    if settings.pinning == "off" or len(cores) == 1:
        return ()
    first = port % len(cores)  # So that servers on neighbouring ports of one machine do not all begin with the same.
    return (*cores[first:], *cores[:first])


def session_limits(settings: TokenSettings) -> SessionLimits:
    """Return how long sessions and tokens live."""
    return SessionLimits(
        idle=timedelta(seconds=settings.session_idle_seconds),
        absolute=timedelta(seconds=settings.session_seconds),
        access_token=timedelta(seconds=settings.access_token_seconds),
        remembered_idle=timedelta(seconds=settings.remembered_session_idle_seconds),
        remembered_absolute=timedelta(seconds=settings.remembered_session_seconds),
        most=settings.sessions_per_user,
    )


def attempt_limits(settings: ThrottleSettings) -> Limits:
    """Return what is admitted from networks that a user is not known to come from."""
    network = Growing(settings.network_free_attempts) if settings.network_free_attempts else None
    return Limits(Growing(settings.free_attempts), network)


def registration_limit(settings: ThrottleSettings) -> Steady | None:
    """Return how many accounts one network may create."""
    return _an_hour(settings.registrations_per_hour)


def mail_request_limit(settings: ThrottleSettings) -> Steady | None:
    """Return how many mails with a token one network may ask for."""
    return _an_hour(settings.mail_requests_per_hour)


def _an_hour(most: int) -> Steady | None:
    return Steady(most, timedelta(hours=1)) if most else None


def rotation_plan(settings: TokenSettings) -> RotationPlan:
    """Return when signing keys move on."""
    return RotationPlan(
        keep_for=timedelta(seconds=settings.access_token_seconds) + LATE_TOKENS,
        rotate_after=timedelta(days=settings.key_rotation_days),
    )
