"""`authservice health`: asks a running server whether it serves, as containers and scripts want to know it."""

from pathlib import Path

import click
import grpc
from cryptography import x509
from grpc_health.v1 import health_pb2, health_pb2_grpc

from authservice import config as configuration
from authservice.config import Settings

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.option("--server", metavar="HOST:PORT", help="The server to ask. [default: the one of these settings]")
@click.option("--service", default="", help="`liveness`, or the name of a service. [default: all that it serves]")
@click.option("--ca-file", type=_FILE, help="Speak TLS, and trust this CA. [default: the server's own certificate]")
@click.option("--cert-file", type=_FILE, help="Certificate to show, where the server asks for one.")
@click.option("--key-file", type=_FILE, help="Key of that certificate.")
@click.option("--server-name", help="Name in the server's certificate. [default: the first one of these settings' own]")
@click.option("--timeout", default=3.0, show_default=True, type=click.FloatRange(0.1, 60), help="Seconds to wait.")
def health(
    server: str | None,
    service: str,
    ca_file: Path | None,
    cert_file: Path | None,
    key_file: Path | None,
    server_name: str | None,
    timeout: float,
) -> None:
    """Ask a running server whether it serves, by grpc.health.v1.

    Without options it asks the server of these settings, by TLS if they say so. Prints SERVING and exits with 0, or
    says what is wrong and exits with 1.
    """
    if (cert_file is None) != (key_file is None):
        raise click.UsageError("--cert-file and --key-file go together.")
    settings = configuration.load()
    own = settings.tls_cert_file if server is None else None
    ca_file = ca_file or own
    address = server or _address(settings)
    options = _name_override(server_name or (_first_name(own) if own else None))
    if ca_file:
        client = (key_file.read_bytes(), cert_file.read_bytes()) if key_file and cert_file else (None, None)
        credentials = grpc.ssl_channel_credentials(ca_file.read_bytes(), *client)
        channel = grpc.secure_channel(address, credentials, options)
    else:
        channel = grpc.insecure_channel(address, options)
    with channel:
        status = _ask(channel, service, timeout, f"{address} by {'TLS' if ca_file else 'plaintext'}")
    if status != "SERVING":
        raise click.ClickException(f"{address} says {status}.")
    click.echo(status)


def _ask(channel: grpc.Channel, service: str, timeout: float, whom: str) -> str:
    request = health_pb2.HealthCheckRequest(service=service)
    try:
        answer = health_pb2_grpc.HealthStub(channel).Check(request, timeout=timeout)  # type: ignore[attr-defined]
    except grpc.RpcError as error:
        raise click.ClickException(f"{whom} {_why(error, service)}") from None
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))


def _why(error: grpc.RpcError, service: str) -> str:
    """Return what a server has done that did not say how it is, if there was a server."""
    code, said = error.code(), f"{error.code().name}, {error.details()}"
    if code is grpc.StatusCode.NOT_FOUND:
        return f"has no service {service!r}."
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return f"answers, but knows no grpc.health.v1; is it another program? It says {said}"
    if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
        return f"does not answer: {said}"
    return f"answers, but does not say how it is: {said}"


def _address(settings: Settings) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104 - not bound here
    return f"[{host}]:{settings.port}" if ":" in host else f"{host}:{settings.port}"


def _name_override(name: str | None) -> list[tuple[str, str | int]]:
    proxy: list[tuple[str, str | int]] = [("grpc.enable_http_proxy", 0)]
    return [*proxy, ("grpc.ssl_target_name_override", name)] if name else proxy


def _first_name(cert_file: Path) -> str | None:
    certificate = x509.load_pem_x509_certificate(cert_file.read_bytes())
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None
    found = [*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))]
    return found[0] if found else None
