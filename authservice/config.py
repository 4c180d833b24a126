"""Every setting, read once from the environment or a `.env` file, typed and frozen.

The only module that looks at the environment. The five variables of the Node application that the service grew out of
(`DB_HOST`, `DB_USER`, `DB_PASSWORD`, `DB_NAME`, `JWT_SECRET`) work as they are; all others begin with `AUTHSERVICE_`.
"""

import base64
import difflib
import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import quote

from dotenv import dotenv_values
from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "AUTHSERVICE_"
ENV_FILE = Path(".env")
_FOR_TESTS = PREFIX + "TEST_"
_ADDRESS = re.compile(r"(sqlite|mysql|mariadb)(\+\w+)?://")


class ConfigError(Exception):
    """A setting is missing or unusable. The text names the variable and says what to do."""


def _seed(name: str, default: Any, description: str, **limits: Any) -> Any:
    return Field(default, validation_alias=AliasChoices(name), description=description, **limits)


class Settings(BaseSettings):
    """All settings. Frozen; secrets show as stars."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=ENV_FILE,
        env_ignore_empty=True,
        frozen=True,
        extra="ignore",
        hide_input_in_errors=True,
    )

    db_host: str | None = _seed("DB_HOST", None, "MySQL or MariaDB server; without it the embedded SQLite file is used")
    db_port: int = _seed("DB_PORT", 3306, "port of that server", ge=1, le=65535)
    db_user: str | None = _seed("DB_USER", None, "user on that server")
    db_password: SecretStr | None = _seed("DB_PASSWORD", None, "password of that user")
    db_name: str = _seed("DB_NAME", "authservice", "name of the database there")
    jwt_secret: SecretStr | None = _seed(
        "JWT_SECRET", None, "sign tokens with HS256 and this secret of at least 32 bytes, in place of managed keys"
    )

    database_url: SecretStr | None = Field(
        None, description="full address of the database, in place of the DB_ variables"
    )
    database_ca_file: Path | None = Field(
        None, description="CA that signed the database server's certificate; turns TLS on"
    )
    data_dir: Path = Field(Path("data"), description="folder of the SQLite file and the generated master key")
    master_key: SecretStr | None = Field(
        None, description="base64 of 32 bytes that seal the keys in the database; a comma-separated list, newest first"
    )
    master_key_file: Path | None = Field(None, description="file with the same content as AUTHSERVICE_MASTER_KEY")

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(50051, ge=0, le=65535, description="port to listen on; 0 for a free one")
    workers: int = Field(0, ge=0, le=256, description="server processes; 0 is one on SQLite and one per core on MySQL")
    threads: int = Field(16, ge=2, le=256, description="calls that one process works on at once, beside password work")
    max_calls: int = Field(512, ge=8, le=65536, description="calls that one process admits at once; more are refused")
    max_watchers: int = Field(
        2000, ge=0, le=65536, description="watchers of revocations that one process admits, beside calls"
    )
    entrance: Literal["auto", "off"] = Field(
        "auto", description="auto: a call gets a thread once its request is there; off: before, as grpcio does it"
    )
    default_deadline: float = Field(10.0, gt=0, le=300, description="seconds given to a call that brings no deadline")
    shutdown_grace: float = Field(20.0, gt=0, le=300, description="seconds that running calls get to finish on SIGTERM")
    insecure: bool = Field(False, description="allow plaintext on an address that is not loopback")
    tls_cert_file: Path | None = Field(None, description="certificate chain of the server, PEM")
    tls_key_file: Path | None = Field(None, description="private key of the server, PEM")
    tls_client_ca_file: Path | None = Field(
        None, description="CA of the clients, PEM; with it every client needs a certificate"
    )
    reflection: Literal["auto", "on", "off"] = Field(
        "auto", description="gRPC reflection; auto is on for loopback only"
    )

    token_algorithm: Literal["ES256", "EdDSA", "RS256"] = Field("ES256", description="algorithm of new managed keys")
    issuer: str = Field("authservice", min_length=1, max_length=64, description="`iss` of access tokens")
    audience: str = Field("internal", min_length=1, max_length=64, description="`aud` of access tokens")
    access_token_seconds: int = Field(900, ge=10, le=3600, description="life of an access token")
    session_idle_seconds: int = Field(1800, ge=60, description="life of a refresh token, renewed at each refresh")
    session_seconds: int = Field(43200, ge=60, le=30 * 86400, description="life of a session, whatever happens")
    key_rotation_days: int = Field(30, ge=1, le=365, description="age at which the signing key is replaced")

    bcrypt_cost: int = Field(12, ge=10, le=15, description="work factor of password hashes; 12 takes about 270 ms")
    hash_threads: int = Field(
        0, ge=0, le=64, description="hashes that one process computes at once; 0 shares the cores"
    )
    hash_queue: int = Field(
        16, ge=0, le=1024, description="password checks that may wait in one process; more are refused"
    )
    password_min_length: int = Field(15, ge=15, le=64, description="least code points of a new password")

    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="least level that is logged")
    log_format: Literal["json", "console"] = Field(
        "json", description="`json`: one object per line; `console`: text for people"
    )

    @field_validator("host")
    @classmethod
    def _without_brackets(cls, host: str) -> str:
        return host.removeprefix("[").removesuffix("]")

    @field_validator("database_url")
    @classmethod
    def _an_address(cls, address: SecretStr | None) -> SecretStr | None:
        if address is not None and not _ADDRESS.match(address.get_secret_value()):
            raise ValueError("must look like mysql://user:password@host:3306/name or sqlite:///path")
        return address

    @field_validator("jwt_secret")
    @classmethod
    def _long_enough(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and len(secret.get_secret_value().encode()) < 32:
            raise ValueError("must have at least 32 bytes (RFC 7518 section 3.2). Make one: openssl rand -base64 48")
        return secret

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.database_url is None and self.db_host is not None and self.db_user is None:
            raise ValueError("DB_USER must be set where DB_HOST is")
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
        if self.access_token_seconds > self.session_idle_seconds:
            raise ValueError("AUTHSERVICE_ACCESS_TOKEN_SECONDS must not exceed AUTHSERVICE_SESSION_IDLE_SECONDS")
        if self.session_idle_seconds > self.session_seconds:
            raise ValueError("AUTHSERVICE_SESSION_IDLE_SECONDS must not exceed AUTHSERVICE_SESSION_SECONDS")
        return self

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def is_sqlite(self) -> bool:
        """Whether the database is an embedded file."""
        return self.database_address().get_secret_value().startswith("sqlite")

    @property
    def has_reflection(self) -> bool:
        """Whether the server describes itself to grpcurl."""
        return self.reflection == "on" or (self.reflection == "auto" and self.is_loopback)

    def database_address(self) -> SecretStr:
        """Return where the data is, as a URL."""
        if self.database_url is not None:
            return self.database_url
        if self.db_host is None:
            return SecretStr(f"sqlite:///{self.data_dir / 'authservice.db'}")
        password = self.db_password.get_secret_value() if self.db_password else ""
        login = quote(self.db_user or "", safe="") + (":" + quote(password, safe="") if password else "")
        return SecretStr(f"mysql://{login}@{self.db_host}:{self.db_port}/{quote(self.db_name, safe='')}")

    def master_keys(self) -> tuple[bytes, ...]:
        """Return the configured master keys, newest first; none if none are configured. Raises ConfigError."""
        name, text = "AUTHSERVICE_MASTER_KEY", self.master_key.get_secret_value() if self.master_key else ""
        if not text and self.master_key_file:
            name = "AUTHSERVICE_MASTER_KEY_FILE"
            try:
                text = self.master_key_file.read_text()
            except OSError as error:
                raise ConfigError(f"{name}: cannot read {self.master_key_file}: {error.strerror}") from None
            except UnicodeDecodeError:
                raise ConfigError(f"{name}: {self.master_key_file} must hold base64, not raw bytes") from None
        return tuple(_master_key(part, name) for part in text.replace(",", " ").split())


@dataclass(frozen=True, slots=True)
class Origin:
    """One setting as `authservice config` lists it. `value` is safe to print."""

    variable: str
    value: str
    source: Literal["environment", ".env", "default"]
    description: str


@dataclass(frozen=True, slots=True)
class Stray:
    """A variable that is named like a setting and is none. Safe to print."""

    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.what}; {self.remedy}"


def load(**overrides: Any) -> Settings:
    """Read the settings. `overrides` come from the command line and win. Raises ConfigError."""
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})
    except ValidationError as error:
        # A misspelt variable may be the cause.
        lines = [*(_explain(dict(problem)) for problem in error.errors()), *map(str, strays())]
        raise ConfigError("\n".join(lines)) from None


def origins(settings: Settings) -> list[Origin]:
    """Return every setting with the place it came from, secrets hidden."""
    file = {name.upper() for name, value in dotenv_values(ENV_FILE).items() if value}
    environment = {name.upper() for name, value in os.environ.items() if value}
    rows = []
    for field, info in Settings.model_fields.items():
        name = variable(field)
        source = "environment" if name in environment else ".env" if name in file else "default"
        rows.append(Origin(name, _printable(settings, field), source, info.description or ""))  # type: ignore[arg-type]
    return rows


def strays() -> list[Stray]:
    """Return the variables that begin with AUTHSERVICE_ and are no settings, so that a typing error is noticed."""
    known = {variable(field).removeprefix(PREFIX): variable(field) for field in Settings.model_fields}
    found = []
    for name in sorted({name.upper() for name in (*os.environ, *dotenv_values(ENV_FILE))}):
        if not name.startswith(PREFIX) or name.startswith(_FOR_TESTS) or name in known.values():
            continue
        # In a file, a line `NAME:value` is all name.
        shown = re.sub(r"\W.*", "...", name, count=1, flags=re.DOTALL)
        near = difflib.get_close_matches(shown.removeprefix(PREFIX), known, 1)
        remedy = f"did you mean {known[near[0]]}?" if near else "`authservice config` lists all there are"
        found.append(Stray(f"{shown} is no setting and is ignored", remedy))
    return found


def variable(field: str) -> str:
    """Return the name of the variable behind a field of Settings."""
    alias = Settings.model_fields[field].validation_alias
    return str(alias.choices[0]) if isinstance(alias, AliasChoices) else PREFIX + field.upper()


def _printable(settings: Settings, field: str) -> str:
    value = getattr(settings, field)
    if field == "database_url" and value is not None:
        return without_password(value)
    return "" if value is None else str(value)


def without_password(address: SecretStr) -> str:
    """Return a database address for people to read."""
    text = re.sub(r"(://[^:/@]*):.*@", r"\1:***@", address.get_secret_value(), count=1)
    return re.sub(r"([?&]\w*password=)[^&]*", r"\1***", text)


def _explain(problem: Mapping[str, Any]) -> str:
    message = str(problem["msg"]).removeprefix("Value error, ")
    location = problem["loc"]
    if not location:
        return message
    field = str(location[0])
    name = variable(field) if field in Settings.model_fields else field
    return f"{name}: {message}"


def _master_key(text: str, name: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except ValueError:
        key = b""
    if len(key) != 32:
        raise ConfigError(f"{name}: each key must be base64 of 32 bytes. Make one: openssl rand -base64 32")
    return key
