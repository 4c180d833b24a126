"""What has to be so before anything serves."""

import structlog

from authservice import bootstrap
from authservice.config import Settings
from authservice.storage import inspection
from authservice.transport.server import TlsFiles

log = structlog.get_logger()


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


def tls_files(settings: Settings) -> TlsFiles | None:
    """Return the configured files, or None for plaintext."""
    if settings.tls_cert_file is None or settings.tls_key_file is None:
        return None
    return TlsFiles(settings.tls_cert_file, settings.tls_key_file, settings.tls_client_ca_file)
