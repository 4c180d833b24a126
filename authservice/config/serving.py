"""How the server listens, and how much it takes on."""

import ipaddress
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from authservice.config.area import Area, host_name


class ServingSettings(Area):
    """Address, processes, limits and TLS."""

    host: str = Field("127.0.0.1", description="address to listen on, or a name: each of its addresses here")
    port: int = Field(50051, ge=0, le=65535, description="port to listen on; 0 for a free one")
    workers: int = Field(
        0,
        ge=0,
        le=256,
        description="server processes; 0 is one on SQLite, and on MySQL one per core that a container's quota leaves",
    )
    pinning: Literal["auto", "off"] = Field(
        "auto", description="`auto`: each worker keeps to one core, except for hashes; `off`: to none"
    )
    threads: int = Field(16, ge=2, le=256, description="calls that one process works on at once, beside password work")
    max_calls: int = Field(512, ge=8, le=65536, description="calls that one process admits at once; more are refused")
    max_watchers: int = Field(
        2000, ge=0, le=65536, description="watchers of revocations that one process admits, beside calls"
    )
    max_connections: int = Field(
        10_000, ge=8, le=1_000_000, description="connections that one process accepts; more are closed at once"
    )
    entrance: Literal["auto", "off"] = Field(
        "auto",
        description="`auto`: a call gets a thread once its request is there, if the installed grpcio allows it; "
        "`off`: before, as grpcio does it",
    )
    default_deadline: float = Field(10.0, gt=0, le=300, description="seconds given to a call that brings no deadline")
    shutdown_grace: float = Field(20.0, gt=0, le=300, description="seconds that running calls get to finish on SIGTERM")
    max_connection_age: float = Field(
        1800.0, ge=0, le=86400, description="seconds after which a connection is to be replaced by another; 0 for never"
    )
    max_connection_idle: float = Field(
        300.0, ge=0, le=86400, description="seconds after which a connection without a call is closed; 0 for never"
    )
    connection_grace: float = Field(
        3900.0, gt=0, le=86400, description="seconds that calls and streams then get to end before it is cut"
    )
    insecure: bool = Field(False, description="allow plaintext on an address that is not loopback")
    tls_cert_file: Path | None = Field(None, description="certificate chain of the server, PEM")
    tls_key_file: Path | None = Field(None, description="private key of the server, PEM")
    tls_client_ca_file: Path | None = Field(
        None, description="CA of the clients, PEM; with it every client needs a certificate"
    )
    reflection: Literal["auto", "on", "off"] = Field(
        "auto", description="gRPC reflection; auto is on for loopback only"
    )

    @field_validator("host")
    @classmethod
    def _without_brackets(cls, host: str) -> str:
        return host_name(host.removeprefix("[").removesuffix("]"))

    @model_validator(mode="after")
    def _is_safe(self) -> Self:
        if (self.tls_cert_file is None) != (self.tls_key_file is None):
            raise ValueError("AUTHSERVICE_TLS_CERT_FILE and AUTHSERVICE_TLS_KEY_FILE go together")
        if self.tls_client_ca_file and not self.tls_cert_file:
            raise ValueError(
                "AUTHSERVICE_TLS_CLIENT_CA_FILE needs AUTHSERVICE_TLS_CERT_FILE and AUTHSERVICE_TLS_KEY_FILE"
            )
        if not (self.is_loopback or self.tls_cert_file or self.insecure):
            raise ValueError(
                f"{self.host} is not loopback, and passwords would travel in the clear. Set "
                "AUTHSERVICE_TLS_CERT_FILE and AUTHSERVICE_TLS_KEY_FILE, or --insecure "
                "if something before this server does TLS"
            )
        return self

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def has_reflection(self) -> bool:
        """Whether the server describes itself to grpcurl."""
        return self.reflection == "on" or (self.reflection == "auto" and self.is_loopback)
