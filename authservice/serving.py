"""Serving: what the parent checks before it forks, and what each worker runs."""

import gc
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import structlog

from authservice import bootstrap
from authservice.config import Settings
from authservice.domain.deadline import Deadline
from authservice.housekeeping import Chore, Housekeeping
from authservice.storage import inspection
from authservice.supervisor import Supervisor, reserve_port
from authservice.transport.entrance.grpcio import grpc_version
from authservice.transport.entrance.trial import trial
from authservice.transport.guard import open_to_anyone, own_guard
from authservice.transport.server import Limits, Server, TlsFiles
from authservice.transport.servicers.auth import AuthServicer
from authservice.transport.servicers.together import AuthTogether
from authservice.transport.servicers.trust import TrustServicer
from authservice.transport.streams.watchers import Watchers

log = structlog.get_logger()

PING_PERIOD = 2.0
RELOAD_PERIOD = 1.0
"""Seconds between two looks at the signing keys: half of what another server publishes a key before it signs."""
FEED_PERIOD = 0.1
"""Seconds between two looks at what other servers have revoked."""
FEED_BREATH = 0.005
"""The same where this one revokes all the time, so that many logouts are read together."""
UPKEEP_PERIOD = 60.0
UPKEEP_SECONDS = 5.0
SLACK_SECONDS = 5.0
"""What a worker may take beyond the grace of running calls before it is killed."""
COLLECT_AFTER = 50_000
"""Objects made, net, before the collector looks at the young ones."""
SPARE_PASSWORD_CALLS = 8
"""Threads beyond the queue of hashes, so that a refusal does not wait behind those who were admitted."""


class Unsafe(Exception):
    """The database breaks a promise of the service. The text says how, and what to do."""


def prepare(settings: Settings) -> None:
    """Bring everything into the state that workers expect.

    Raises TlsFilesUnusable, SchemaNotCurrent, Unsafe, CannotOpen, StorageUnavailable.
    """
    if tls := tls_files(settings):
        tls.check()
    with bootstrap.migrated_engine(settings) as engine:
        for finding in inspection.inspect(engine):
            if finding.breaks_promise:
                raise Unsafe(f"{finding.what}. To do: {finding.remedy}.")
            log.warning("unsafe_database", what=finding.what, remedy=finding.remedy)
    bootstrap.assemble(settings, hash_cost=4).close()


def serve(settings: Settings) -> int:
    """Serve until SIGTERM. Returns the exit code."""
    prepare(settings)
    cores = len(os.sched_getaffinity(0))
    holder = reserve_port(settings.host, settings.port)
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    address = f"{host}:{holder.getsockname()[1]}"

    def worker(stop: threading.Event, ready: Callable[[], None]) -> None:
        work(settings, address, cores, stop, ready)

    return Supervisor(
        worker,
        bootstrap.worker_count(settings, cores),
        on_ready=lambda: print(greeting(address, settings), flush=True),
        patience=settings.shutdown_grace + SLACK_SECONDS,
    ).run()


def work(settings: Settings, address: str, cores: int, stop: threading.Event, ready: Callable[[], None]) -> None:
    """Run one worker until `stop` is set."""
    service = bootstrap.assemble(settings, cores=cores)
    has_entrance = settings.entrance == "auto"
    if has_entrance and (found := trial()):
        # It serves as well, but slower, and sixteen callers without a request can stop it.
        log.warning("entrance_unusable", grpcio=grpc_version(), problems=found)
        has_entrance = False
    password_calls = bootstrap.hash_threads(settings, cores) + settings.hash_queue + SPARE_PASSWORD_CALLS
    limits = Limits(
        settings.threads, settings.max_calls, password_calls, settings.max_watchers, settings.default_deadline
    )
    settle_collector()
    server = new_server(service, limits, has_reflection=settings.has_reflection, has_entrance=has_entrance)
    server.listen(address, tls_files(settings))
    feeding = start_feeding(service, server)
    server.start()
    # Two threads: a slow clean-up must not delay the word that the database is gone.
    health = Housekeeping([Chore("health", PING_PERIOD, lambda: _check_health(service, server))])
    upkeep = Housekeeping(chores(service, managed_keys=settings.jwt_secret is None))
    health.start()
    upkeep.start()
    ready()
    stop.wait()
    server.drain()
    health.stop()
    upkeep.stop()
    feeding.stop()
    server.stop(settings.shutdown_grace)
    service.close()


def new_server(
    service: bootstrap.Service, limits: Limits, *, has_reflection: bool, has_entrance: bool = True
) -> Server:
    """Return a server for an assembled service.

    Args:
        has_entrance: give calls a thread only once their request is there; otherwise as grpcio does it.
    """
    auth = AuthServicer(
        register=service.register,
        login=service.login,
        refresh=service.refresh,
        logout=service.logout,
        verify=service.verify,
        clock=service.clock,
        default_deadline=limits.default_deadline,
    )
    watchers = Watchers(service.feed, service.published_keys, limits.max_watchers)
    trust = TrustServicer(service.published_keys, watchers, service.clock)
    guard = own_guard(service.verify, *service.token_scope)
    answers = AuthTogether(service.verify, service.refresh, service.logout, service.clock)
    together = open_to_anyone(answers.methods()) if has_entrance else None
    return Server(auth, trust, guard, limits, has_reflection=has_reflection, together=together)


def start_feeding(service: bootstrap.Service, server: Server) -> Housekeeping:
    """Read what is revoked and tell the watchers, now and then and after each revocation by this process."""

    def feed() -> None:
        try:
            service.feed.refresh()
        finally:
            # While the database is away watchers hear that nothing newer is known, and stay.
            server.announce()

    service.feed.refresh()
    feeding = Housekeeping([Chore("revocations", FEED_PERIOD, feed)], breath=FEED_BREATH)
    service.when_revoked(feeding.wake)
    feeding.start()
    return feeding


def settle_collector() -> None:
    """Keep the garbage collector from going through what lives as long as the process."""
    # Going through it again and again took a tenth of Verify's rate.
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, 20, 100)


def chores(service: bootstrap.Service, *, managed_keys: bool) -> list[Chore]:
    """Return what a worker does between calls."""
    kept = [Chore("clean-up", UPKEEP_PERIOD, lambda: service.clean_up(UPKEEP_SECONDS))]
    if managed_keys:
        kept += [
            Chore("reload keys", RELOAD_PERIOD, service.reload_keys),
            Chore("rotate keys", UPKEEP_PERIOD, lambda: service.rotate_keys.ensure(Deadline.after(UPKEEP_SECONDS))),
        ]
    return kept


def _check_health(service: bootstrap.Service, server: Server) -> None:
    try:
        service.ping()
    except Exception:
        server.set_healthy(False)
        raise
    server.set_healthy(True)


def tls_files(settings: Settings) -> TlsFiles | None:
    """Return the configured files, or None for plaintext."""
    if settings.tls_cert_file is None or settings.tls_key_file is None:
        return None
    return TlsFiles(settings.tls_cert_file, settings.tls_key_file, settings.tls_client_ca_file)


def greeting(address: str, settings: Settings) -> str:
    """Return what is printed when the server is up: calls to paste."""
    programs = Path(sys.executable).parent
    programs = programs.relative_to(Path.cwd()) if programs.is_relative_to(Path.cwd()) else programs
    grpcurl = programs / "grpcurl" if (programs / "grpcurl").exists() else Path("grpcurl")
    if settings.tls_cert_file:
        return f"authservice serves on {address} with TLS. Stop it with Ctrl-C."
    return f"""authservice serves on {address}. Stop it with Ctrl-C.

Register a user, from another terminal in this folder:

{grpcurl} -plaintext -d '{{"user_name": "ada", "password": "quiet copper lantern 47 rivers"}}' \\
  {address} authapi.v1.AuthService/Register

Log in and ask who is calling, from Python:

{programs / "python"} - <<'EOF'
import grpc; from authapi.v1 import auth_service_pb2 as api, auth_service_pb2_grpc as rpc
auth = rpc.AuthServiceStub(grpc.insecure_channel("{address}"))
tokens = auth.Login(api.LoginRequest(user_name_or_email="ada", password="quiet copper lantern 47 rivers")).tokens
print(auth.Verify(api.VerifyRequest(access_token=tokens.access_token)).identity)
EOF"""
