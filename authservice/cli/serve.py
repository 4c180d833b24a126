"""`authservice serve`."""

import click
import structlog

from authservice import config as configuration
from authservice import logs
from authservice.cli.opening import may_begin_anew, missing_file, require_meant


@click.command()
@click.option("--host", help="Address to listen on. [default: 127.0.0.1]")
@click.option("--port", type=int, help="Port to listen on, 0 for a free one. [default: 50051]")
@click.option("--workers", type=int, help="Server processes. [default: one on SQLite, one per core on MySQL]")
@click.option("--insecure", is_flag=True, default=None, help="Allow plaintext on an address that is not loopback.")
@may_begin_anew
def serve(host: str | None, port: int | None, workers: int | None, insecure: bool | None, is_new: bool) -> None:
    """Serve until SIGTERM or Ctrl-C.

    The embedded SQLite file is made and migrated by itself. A MySQL or MariaDB database must have been migrated with
    `authservice migrate`.
    """
    settings = configuration.load(host=host, port=port, workers=workers, insecure=insecure)
    logs.configure(settings.log_level, settings.log_format)
    log = structlog.get_logger()
    for stray in configuration.strays():
        log.warning("unknown_setting", what=stray.what, remedy=stray.remedy)
    for exposure in configuration.exposures(settings):
        log.warning("exposed_file", what=exposure.what, remedy=exposure.remedy)
    require_meant(settings, is_new=is_new)
    settings.require_strong_secret()
    log.info("database", place=settings.database_place, is_new=missing_file(settings) is not None)
    # Here, because it takes a second, and what is wrong so far can be said at once.
    from authservice.serving import processes  # noqa: PLC0415

    processes.serve(settings, is_new=is_new)
