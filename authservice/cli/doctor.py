"""`authservice doctor`: what is wrong with an installation, and what to do about it."""

import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import click
import pymysql
from cryptography import x509
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from authservice import bootstrap
from authservice import config as configuration
from authservice.bootstrap.mail import FOLDER, smtp_server
from authservice.cli.databases import trouble_with
from authservice.cli.failures import failure_of
from authservice.cli.opening import deadline, missing_file, remedy_for_missing
from authservice.cli.printing import as_json, show
from authservice.config import ConfigError, Settings
from authservice.domain.clocks import MOST_APART
from authservice.domain.errors import AuthError, StorageUnavailable
from authservice.ports import CourierAway
from authservice.security.breached_file import BreachedFile, BreachedFileUnusable
from authservice.security.master_key import MasterKeyUnusable
from authservice.security.sealing import CannotOpen
from authservice.serving.cores import usable_cores
from authservice.serving.port import CannotListen, reserve_port
from authservice.serving.tls import tls_files
from authservice.storage import inspection, schema
from authservice.transport.certificates import TlsFilesUnusable
from authservice.transport.entrance.grpcio import grpc_version
from authservice.transport.entrance.trial import trial

CERTIFICATE_WARNING = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome of one check. `remedy` says what to do unless the outcome is `ok`."""

    check: str
    outcome: str
    finding: str
    remedy: str = ""


@click.command()
@as_json
def doctor(as_json: bool) -> None:
    """Check settings, files, TLS, database, clock, migrations, keys, writing and mail, and say what to mend.

    Exit code 0 if nothing failed (warnings allowed), 1 otherwise.
    """
    results = list(_whatever_happens(examine()))
    show(
        ("check", "outcome", "finding", "what to do"),
        [(result.check, result.outcome, result.finding, result.remedy) for result in results],
        as_json,
    )
    sys.exit(1 if any(result.outcome == "failed" for result in results) else 0)


def _whatever_happens(results: Iterator[Result]) -> Iterator[Result]:
    """Yield the results, and as the last one what people can mend and no check has foreseen."""
    try:
        yield from results
    except Exception as error:
        if (failure := failure_of(error)) is None:
            raise
        yield Result("all else", "failed", failure[1], "correct that and run this again")


def examine() -> Iterator[Result]:
    """Yield the result of each check, leaving out those that need what has already failed."""
    try:
        settings = configuration.load()
    except ConfigError as error:
        yield _unusable(error)
        return
    unusable = _unusable_master_key(settings)
    yield _unusable(unusable) if unusable else Result("settings", "ok", "all readable")
    for stray in configuration.strays():
        yield Result("settings", "warning", stray.what, stray.remedy)
    for exposure in configuration.exposures(settings):
        yield Result("files", "warning", exposure.what, exposure.remedy)
    yield from _check_tls(settings)
    yield _check_port(settings)
    yield _count_cores(settings)
    yield from _check_breached(settings)
    yield _check_entrance(settings)
    if missing := missing_file(settings):
        yield Result("database", "failed", f"there is no file {missing}", remedy_for_missing(settings, missing))
        return
    yield from _check_hosts(settings)
    engine = bootstrap.engine_for(settings, pool_size=1)
    try:
        yield from _check_database(engine, settings)
    finally:
        engine.dispose()


def _check_hosts(settings: Settings) -> Iterator[Result]:
    engines = {} if settings.is_sqlite else bootstrap.engines_of_hosts(settings)
    for place, engine in engines.items() if len(engines) > 1 else ():
        try:
            inspection.require_serving(engine)
        except (SQLAlchemyError, pymysql.MySQLError, OSError) as error:
            what = f"{place}: {trouble_with(error).what}"
            yield Result("database host", "warning", what, "start it, or take it from DB_HOST")
        else:
            yield Result("database host", "ok", f"{place} serves")
        finally:
            engine.dispose()


def _check_database(engine: Engine, settings: Settings) -> Iterator[Result]:
    try:
        found = schema.current(engine)
    except (SQLAlchemyError, OSError) as error:
        trouble = trouble_with(error)
        yield Result("database", "failed", f"{settings.database_place}: {trouble.what}", _as_remedy(trouble.remedy))
        return
    yield Result("database", "ok", settings.database_place)
    difference = inspection.clock_difference(engine)
    yield _check_clock(difference)
    if found != schema.newest():
        yield Result(
            "migrations", "failed", f"at {found or 'none'}, needs {schema.newest()}", "run `authservice migrate`"
        )
        return
    yield Result("migrations", "ok", f"at {found}")
    for finding in inspection.inspect(engine):
        yield Result(
            "database settings", "failed" if finding.breaks_promise else "warning", finding.what, finding.remedy
        )
    if not _unusable_master_key(settings) and abs(difference) <= MOST_APART:
        yield from _check_service(settings)


def _unusable_master_key(settings: Settings) -> ConfigError | None:
    try:
        settings.master_keys()
    except ConfigError as error:
        return error
    return None


def _unusable(error: ConfigError) -> Result:
    # What cannot be read may be no fault of the variable that names it.
    return Result("settings", "failed", error.what, _as_remedy(error.remedy) or "correct the variable")


def _check_clock(difference: timedelta) -> Result:
    if abs(difference) <= inspection.MAX_CLOCK_DIFFERENCE:
        return Result("clock", "ok", f"{difference.total_seconds():+.3f} s from the database's")
    return Result(
        "clock",
        "failed",
        f"{difference.total_seconds():+.1f} s from the database's",
        "run a time service such as chrony on both machines",
    )


def _check_service(settings: Settings) -> Iterator[Result]:
    # Of that file there is a result already, and it would be told as one of the keys.
    without_file = settings.model_copy(update={"password_breached_file": None})
    try:
        service = bootstrap.assemble(without_file, hash_cost=4)
    except ConfigError as error:
        yield Result("keys", "failed", str(error), "set the master key")
    except CannotOpen as error:
        yield Result("keys", "failed", str(error), "put the old master key back")
    except (AuthError, MasterKeyUnusable) as error:
        yield Result("keys", "failed", str(error), "see docs/operations.md")
    else:
        with closing(service):
            yield _check_secret(settings)
            yield _check_writing(service)
            yield _check_mail(settings)


def _check_secret(settings: Settings) -> Result:
    try:
        settings.require_strong_secret()
    except ConfigError as error:
        finding, _, remedy = str(error).partition(". ")
        return Result("keys", "failed", finding, remedy)
    return Result("keys", "ok", "tokens are signed with JWT_SECRET" if settings.jwt_secret else "every key opens")


def _check_writing(service: bootstrap.Service) -> Result:
    try:
        service.try_writing(deadline())
    except StorageUnavailable as error:
        trouble = trouble_with(error)
        return Result("writing", "failed", trouble.what, _as_remedy(trouble.remedy) or "see what it says")
    return Result("writing", "ok", "the database takes what is written")


def _check_mail(settings: Settings) -> Result:
    if settings.smtp_host is None:
        finding = f"written into {settings.data_dir / FOLDER}, as AUTHSERVICE_SMTP_HOST is not set"
        return Result("mail", "ok", finding) if settings.is_sqlite else Result("mail", "warning", finding, "set it")
    place = f"{settings.smtp_host}:{settings.smtp_port}"
    try:
        smtp_server(settings, settings.smtp_host).visit()
    except CourierAway as error:
        return Result(
            "mail", "failed", f"{place}: {error}", "correct the settings AUTHSERVICE_SMTP_..., or that server"
        )
    return Result("mail", "ok", f"{place} takes mail")


def _check_port(settings: Settings) -> Result:
    try:
        with closing(reserve_port(settings.host, settings.port)) as reserved:
            return Result("port", "ok", f"{', '.join(reserved.addresses)}: free")
    except CannotListen as error:
        return Result("port", "warning", str(error), "nothing, if that is the running server")


def _count_cores(settings: Settings) -> Result:
    cores = usable_cores()
    workers = bootstrap.worker_count(settings, cores.count)
    return Result("cores", "ok", f"{cores}: {workers} {'worker' if workers == 1 else 'workers'}")


def _check_entrance(settings: Settings) -> Result:
    version = f"grpcio {grpc_version()}"
    if settings.entrance == "off":
        return Result(
            "entrance", "warning", f"{version}; calls take a thread before their request", "unset AUTHSERVICE_ENTRANCE"
        )
    if problems := trial():
        finding = f"{version} does not fit ({'; '.join(problems)}): calls take a thread before their request"
        return Result("entrance", "warning", finding, "install the grpcio of requirements/server.txt")
    return Result("entrance", "ok", f"{version}; calls take a thread once their request is there")


def _check_breached(settings: Settings) -> Iterator[Result]:
    if settings.password_breached_file:
        try:
            count = BreachedFile(settings.password_breached_file).count()
        except BreachedFileUnusable as error:
            remedy = "correct AUTHSERVICE_PASSWORD_BREACHED_FILE, or build the file again"
            yield Result("breached passwords", "failed", str(error), remedy)
        else:
            yield Result("breached passwords", "ok", f"{count:,} in {settings.password_breached_file}")


def _check_tls(settings: Settings) -> Iterator[Result]:
    files = tls_files(settings)
    if files is None:
        if settings.is_loopback:
            yield Result("tls", "ok", "not used; only this machine can connect")
        else:
            remedy = "set AUTHSERVICE_TLS_CERT_FILE and AUTHSERVICE_TLS_KEY_FILE"
            yield Result("tls", "warning", "plaintext off loopback (--insecure)", remedy)
        return
    try:
        files.check()
    except TlsFilesUnusable as error:
        yield Result("tls", "failed", str(error), "correct the files")
        return
    end = x509.load_pem_x509_certificate(files.cert.read_bytes()).not_valid_after_utc
    left = end - datetime.now(UTC)
    outcome = "failed" if left < timedelta(0) else "warning" if left < CERTIFICATE_WARNING else "ok"
    yield Result("tls", outcome, f"certificate ends {end:%Y-%m-%d}", "" if outcome == "ok" else "renew the certificate")


def _as_remedy(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:].rstrip(".")
