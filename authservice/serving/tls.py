"""Which TLS files the server is to use."""

from authservice.config import ServingSettings
from authservice.transport.certificates import TlsFiles


def tls_files(settings: ServingSettings) -> TlsFiles | None:
    """Return the configured files, or None for plaintext."""
    if settings.tls_cert_file is None or settings.tls_key_file is None:
        return None
    return TlsFiles(settings.tls_cert_file, settings.tls_key_file, settings.tls_client_ca_file)
