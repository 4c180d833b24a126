"""What SIGHUP rereads: how the log is written. Certificates are looked at whenever a client connects."""

import structlog

from authservice import config
from authservice.config import ConfigError, Settings
from authservice.serving.standard_streams import log_to_standard_error

log = structlog.get_logger()


def reread(settings: Settings) -> None:
    """Heed what can be changed while the server runs. The rest is as it was at the start, and so is all on an error."""
    try:
        # What the command line said, or the file would be judged without it.
        new = config.load(host=settings.host, port=settings.port, workers=settings.workers, insecure=settings.insecure)
    except ConfigError as error:
        log.warning("settings_not_reread", reason=str(error))
        return
    log_to_standard_error(new.log_level, new.log_format)
    log.info("settings_reread", log_level=new.log_level, log_format=new.log_format)
