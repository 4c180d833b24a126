"""What a worker does between calls, and how often."""

import time

import structlog

from authservice import bootstrap
from authservice.domain.deadline import Deadline
from authservice.serving.housekeeping import Chore, Housekeeping
from authservice.serving.outages import Outages
from authservice.serving.steadiness import Steadiness
from authservice.storage.limits import BUSY_SECONDS
from authservice.transport.server import Server

log = structlog.get_logger()

PING_PERIOD = 1.0
"""Seconds. So often Verify's connection is used in any case, and a host that may only be read is found and left."""
RELOAD_PERIOD = 1.0
"""Seconds between two looks at the signing keys: half of what another server publishes a key before it signs."""
FEED_PERIOD = 0.1
"""Seconds between two looks at what other servers have revoked."""
FEED_BREATH = 0.005
"""The same where this one revokes all the time, so that many logouts are read together."""
CALLS = "calls"
"""What is told of as a chore that the database keeps from being done."""
CALM_SECONDS = 5.0
"""After the last call that was refused, before it is said that none is: some may go while others do not."""
TRY_SECONDS = BUSY_SECONDS + 1.0
"""What a trial gets: as long as a call waits for other writers, so that it fails only of what they fail of."""
MAIL_PERIOD = 1.0
"""Seconds between two looks at the outbox."""
MAIL_SECONDS = 30.0
UPKEEP_PERIOD = 60.0
UPKEEP_SECONDS = 5.0
FIRST_CLEAN_UP = 600.0
"""Seconds after the start. A clock that was wrong when the machine started is set by then, and that is noticed."""


def start_feeding(service: bootstrap.Service, server: Server, outages: Outages | None = None) -> Housekeeping:
    """Read what is revoked and tell the watchers, now and then and after each revocation by this process."""

    def feed() -> None:
        try:
            service.trust.feed.refresh()
        finally:
            # While the database is away watchers hear that nothing newer is known, and stay.
            server.announce()

    service.trust.feed.refresh()
    feeding = Housekeeping([Chore("revocations", FEED_PERIOD, feed)], FEED_BREATH, outages)
    service.parts.database.when_revoked = feeding.wake
    feeding.start()
    return feeding


def upkeep(service: bootstrap.Service, steadiness: Steadiness, *, managed_keys: bool) -> list[Chore]:
    """Return what looks after rows and keys. What goes by the time waits while the clock is in doubt."""

    def clean_up() -> None:
        steadiness.require()
        service.clean_up(UPKEEP_SECONDS)

    def erase() -> None:
        steadiness.require()
        service.account.erase_accounts(UPKEEP_SECONDS)

    def rotate_keys() -> None:
        steadiness.require()
        service.trust.rotate_keys.ensure(Deadline.after(UPKEEP_SECONDS))

    kept = [
        Chore("clock", PING_PERIOD, steadiness.require),  # Which says so soon, and not when rows are due.
        Chore("clean-up", UPKEEP_PERIOD, clean_up, next_at=time.monotonic() + FIRST_CLEAN_UP),
        Chore("erasure", UPKEEP_PERIOD, erase, next_at=time.monotonic() + FIRST_CLEAN_UP),
    ]
    if managed_keys:
        kept += [
            Chore("reload keys", RELOAD_PERIOD, service.trust.keys.reload),
            Chore("rotate keys", UPKEEP_PERIOD, rotate_keys),
        ]
    return kept


def delivery(service: bootstrap.Service) -> Chore:
    """Return what sends mail."""

    def deliver() -> None:
        done = service.mail.deliver(MAIL_SECONDS)
        if done.given_up:
            log.warning(
                "mail_given_up", mails=done.given_up, remedy="the audit events `mail_given_up` say which, and why"
            )

    return Chore("mail", MAIL_PERIOD, deliver)


def health_check(service: bootstrap.Service, server: Server, outages: Outages) -> Chore:
    """Return what tells watchers of health whether the database answers.

    One that answers may still take nothing, as when its disk is full. Calls notice; from then on this tries.
    """

    def check() -> None:
        try:
            service.parts.ping()
            if outages.has(CALLS):
                service.try_writing(Deadline.after(TRY_SECONDS))
        except Exception:
            server.set_healthy(False)
            raise
        server.set_healthy(True)
        outages.over(CALLS, calm=CALM_SECONDS)

    return Chore("health", PING_PERIOD, check)
