"""What is wrong where the connection to the authentication service does not come about."""

import re
from collections.abc import Iterator
from typing import NamedTuple

_ALWAYS = (
    ("Connection refused|No such file or directory", "nothing listens there"),
    ("Domain name not found|errors resolving", "there is no such name"),
    ("Deadline Exceeded|timed out|Endpoint closing|nothing was heard", "there is no answer"),
)
"""Signs in what grpc says, and what they mean. The first one counts."""
_WITH_TLS = (
    ("WRONG_VERSION_NUMBER", "TLS is spoken to a server that speaks plaintext"),
    (
        "unable to get (local )?issuer|self.signed",
        "the server's certificate is not by an authority that is trusted here: root_certificates of "
        "ssl_channel_credentials",
    ),
    (
        "Hostname Verification|CERTIFICATE_VERIFY_FAILED|not in peer certificate",
        "the server's certificate does not count here",
    ),
    (
        "failed to connect.*(Socket closed|reset|Broken pipe|alert)",
        "the server ended the connection, maybe because it wants a certificate of its clients: private_key and "
        "certificate_chain of ssl_channel_credentials",
    ),
    ("Handshake read failed", "there is no answer"),  # Of grpcio 1.71, when the time is over.
)
_WITHOUT_TLS = (
    (
        "failed to connect.*(Socket closed|reset|Broken pipe)",
        "plaintext is spoken to a server that speaks TLS, or no gRPC",
    ),
)


class Server(NamedTuple):
    """The authentication service as it is called here."""

    address: str
    is_encrypted: bool

    def __str__(self) -> str:
        return f"{self.address}, {'TLS' if self.is_encrypted else 'plaintext'}"


def describe(server: Server | None, why: str) -> str:
    """Return where it was tried, what is wrong there, and what grpc says of it.

    Args:
        server: None where it was called through a channel that was given, of which nothing is known here.
    """
    where = str(server) if server else "the channel that was given"
    return f"{where}: {'; '.join((*_meanings(server, why), why))}"


def _meanings(server: Server | None, why: str) -> Iterator[str]:
    """Yield what an error means, if that can be told."""
    by_encryption: tuple[tuple[str, str], ...] = ()
    if server:
        by_encryption = _WITH_TLS if server.is_encrypted else _WITHOUT_TLS
    for sign, meaning in _ALWAYS + by_encryption:
        if re.search(sign, why):
            yield meaning
            return
