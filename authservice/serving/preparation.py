"""What has to be so before anything serves."""

import structlog

from authservice import bootstrap
from authservice.bootstrap.migrated import migrated_engine
from authservice.config import Settings
from authservice.serving.tls import tls_files
from authservice.storage import inspection

log = structlog.get_logger()


class Unsafe(Exception):
    """The database breaks a promise of the service. The text says how, and what to do."""


def prepare(settings: Settings, *, is_new: bool = False) -> None:
    """Bring everything into the state that workers expect.

    Raises TlsFilesUnusable, ConfigError, SchemaNotCurrent, Unsafe, CannotOpen, StorageUnavailable.
    """
    if tls := tls_files(settings):
        tls.check()
    settings.master_keys()  # Before a database is made that nobody could seal anything in.
    with migrated_engine(settings, is_new=is_new) as engine:
        for finding in inspection.inspect(engine):
            if finding.breaks_promise:
                raise Unsafe(f"{finding.what}. To do: {finding.remedy}.")
            log.warning("unsafe_database", what=finding.what, remedy=finding.remedy)
    service = bootstrap.assemble(settings, hash_cost=4)
    service.parts.clock()  # Which is told only where the database's and this machine's agree.
    service.close()
