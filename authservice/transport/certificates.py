"""The server's certificate, as the files have it when a client connects."""

import ssl
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import grpc
import structlog

log = structlog.get_logger()

Stamp: TypeAlias = tuple[tuple[int, int, int], ...]
"""What tells one content of the files from another: inode, size and time of each."""


class TlsFilesUnusable(Exception):
    """A certificate, key or CA file is missing, unreadable, or does not fit the others."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Where the server's certificate and key are, and the CA of the clients where they need certificates. All PEM."""

    cert: Path
    key: Path
    client_ca: Path | None = None

    @property
    def paths(self) -> tuple[Path, ...]:
        """All of them."""
        return (self.cert, self.key, self.client_ca) if self.client_ca else (self.cert, self.key)

    def check(self) -> None:
        """Raise TlsFilesUnusable unless the files are there and belong together.

        Uses no grpc, so it may precede a fork.
        """
        try:
            for path in self.paths:
                path.read_bytes()  # Its error names the file, ssl's does not.
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(str(self.cert), str(self.key))
            if self.client_ca:
                context.load_verify_locations(str(self.client_ca))
        except (OSError, ValueError) as error:
            raise TlsFilesUnusable(
                f"The TLS files cannot be used ({' '.join(str(error).split())}). "
                "AUTHSERVICE_TLS_CERT_FILE, _KEY_FILE and _CLIENT_CA_FILE name PEM files that belong together."
            ) from None


class Certificates:
    """Credentials that follow the files. Lives as long as the server.

    Renewing replaces one file after the other, so what does not belong together is left for the next to connect, and
    the last that did stays in use.
    """

    def __init__(self, files: TlsFiles) -> None:
        self._files = files
        self._lock = threading.Lock()
        self._stamp = self._stamp_now()
        self._current = self._read()

    def credentials(self) -> grpc.ServerCredentials:
        """Return what a port is opened with."""
        return grpc.dynamic_ssl_server_credentials(
            self._current,
            self._renewed,  # type: ignore[arg-type]  # None is for no change
            require_client_authentication=self._files.client_ca is not None,
        )

    def _renewed(self) -> grpc.ServerCertificateConfiguration | None:
        """Return the certificate if it is another one than before. Called by grpc before each handshake."""
        with self._lock:
            stamp = self._stamp_now()
            if stamp == self._stamp:
                return None
            self._stamp = stamp
            try:
                self._current = self._read()
            except TlsFilesUnusable as error:
                log.warning("certificate_unusable", reason=str(error))
                return None
            log.info("certificate_renewed", cert=str(self._files.cert))
            return self._current

    def _stamp_now(self) -> Stamp:
        try:
            found = [path.stat() for path in self._files.paths]
        except OSError:
            return ()
        return tuple((each.st_ino, each.st_size, each.st_mtime_ns) for each in found)

    def _read(self) -> grpc.ServerCertificateConfiguration:
        self._files.check()
        cert, key, *client_ca = (path.read_bytes() for path in self._files.paths)
        return grpc.ssl_server_certificate_configuration([(key, cert)], client_ca[0] if client_ca else None)
