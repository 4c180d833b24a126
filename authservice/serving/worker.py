"""What each worker runs."""

import gc
import threading
from collections.abc import Callable, Sequence

import structlog

from authservice import bootstrap
from authservice.config import Settings
from authservice.serving.chores import CALLS, delivery, health_check, start_feeding, upkeep
from authservice.serving.cores import Cores
from authservice.serving.descriptors import connections_within
from authservice.serving.housekeeping import Housekeeping
from authservice.serving.outages import Outages
from authservice.serving.rereading import reread
from authservice.serving.signals import Hangups
from authservice.serving.steadiness import Steadiness
from authservice.serving.tls import tls_files
from authservice.storage.embedded_file import FileId
from authservice.transport.boundary import OnUnavailable, nobody_hears
from authservice.transport.entrance.grpcio import grpc_version
from authservice.transport.entrance.trial import trial
from authservice.transport.guard import open_to_anyone, own_guard
from authservice.transport.memory import share_heaps
from authservice.transport.networks import Networks
from authservice.transport.registration import Registration, files_of
from authservice.transport.server import Limits, Server
from authservice.transport.servicers import account, auth, trust
from authservice.transport.servicers.together import AuthTogether
from authservice.transport.streams.watchers import Watchers

log = structlog.get_logger()

COLLECT_AFTER = 10_000
"""Objects made, net, before the collector looks at the young ones: what waits for it takes one megabyte, not five."""
SPARE_PASSWORD_CALLS = 8
"""Threads beyond the queue of hashes, so that a refusal does not wait behind those who were admitted."""


def work(
    settings: Settings,
    addresses: Sequence[str],
    cores: Cores,
    stop: threading.Event,
    ready: Callable[[], None],
    hangups: Hangups,
    steadiness: Steadiness,
    file: FileId | None,
) -> None:
    """Run one worker on its addresses until `stop` is set. See blueprint.Blueprint."""
    share_heaps()
    service = bootstrap.assemble(settings, cores=cores.count, hash_cores=cores.numbers, file=file)
    password_calls = bootstrap.hash_threads(settings, cores.count) + settings.hash_queue + SPARE_PASSWORD_CALLS
    limits = Limits(
        settings.threads,
        settings.max_calls,
        password_calls,
        settings.max_watchers,
        settings.default_deadline,
        settings.max_connection_age,
        settings.connection_grace,
        connections_within(settings.max_connections, len(addresses), bootstrap.pool_size(settings)),
        settings.max_connection_idle,
    )
    has_entrance = settings.entrance == "auto" and is_entrance_usable()
    settle_collector()
    outages = Outages()
    server = new_server(
        service,
        limits,
        has_reflection=settings.has_reflection,
        has_entrance=has_entrance,
        on_unavailable=lambda error: outages.met(CALLS, error),
    )
    for address in addresses:
        server.listen(address, tls_files(settings))
    feeding = start_feeding(service, server, outages)
    server.start()
    # Three threads: a slow clean-up or mail server must not delay the word that the database is gone.
    health = Housekeeping([health_check(service, server, outages)], outages=outages)
    keeping = Housekeeping(upkeep(service, steadiness, managed_keys=settings.jwt_secret is None), outages=outages)
    posting = Housekeeping([delivery(service)], outages=outages)
    health.start()
    keeping.start()
    posting.start()
    log.info("serving", entrance="on" if has_entrance else "off", grpcio=grpc_version())
    hangups.heed(lambda: reread(settings))
    ready()
    stop.wait()
    server.drain()
    health.stop()
    keeping.stop()
    posting.stop()
    feeding.stop()
    server.stop(settings.shutdown_grace)
    service.close()


def is_entrance_usable() -> bool:
    """Tell whether the entrance works with the installed grpcio, and warn where it does not."""
    if found := trial():
        # It serves as well, but slower, and sixteen callers without a request can stop it.
        log.warning("entrance_unusable", grpcio=grpc_version(), problems=found)
    return not found


def new_server(
    service: bootstrap.Service,
    limits: Limits,
    *,
    has_reflection: bool,
    has_entrance: bool = True,
    on_unavailable: OnUnavailable = nobody_hears,
) -> Server:
    """Return a server for an assembled service.

    Args:
        has_entrance: give calls a thread only once their request is there; otherwise as grpcio does it.
        on_unavailable: hears of each call that is refused because of the database.
    """
    registrations = registrations_of(service, limits.max_watchers, limits.default_deadline)
    files = files_of(registrations)
    guard = own_guard(service.auth.verify, *service.token_scope, *files, on_unavailable=on_unavailable)
    answers = AuthTogether(service.auth, service.parts.clock, on_unavailable)
    together = open_to_anyone(answers.methods(), *files) if has_entrance else None
    return Server(
        registrations,
        guard,
        limits,
        has_reflection=has_reflection,
        together=together,
        on_unavailable=on_unavailable,
    )


def registrations_of(service: bootstrap.Service, max_watchers: int, default_deadline: float) -> list[Registration]:
    """Return every service of the contract on its stories."""
    clock, keys = service.parts.clock, service.trust.keys
    networks = Networks(service.parts.settings.proxy_networks())
    watchers = Watchers(service.trust.feed, lambda: keys.published, max_watchers)
    return [
        auth.registration(service.auth, clock, default_deadline, networks),
        account.registration(service.account, default_deadline, networks),
        trust.registration(service.trust, watchers, clock),
    ]


def settle_collector() -> None:
    """Keep the garbage collector from going through what lives as long as the process."""
    # Going through it again and again took a tenth of Verify's rate.
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, 10, 100)
    gc.enable()
