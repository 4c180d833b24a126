"""Where the data is."""

import re
from pathlib import Path
from typing import Self
from urllib.parse import quote

from pydantic import Field, SecretStr, field_validator, model_validator

from authservice.config.area import Area, host_name, named

_OF_A_SERVER = {"db_port", "db_user", "db_password", "db_password_file", "db_name"}
_ADDRESS = re.compile(r"(sqlite|mysql|mariadb)(\+\w+)?://")


_HOSTS = (
    "MySQL or MariaDB server, or several of a cluster, `host` or `host:port` with commas between them, tried in order; "
    "without it the embedded SQLite file is used"
)

_PLACE = re.compile(r"(?:\[(?P<six>[^\]]*)\]|(?P<name>[^:]*))(?::(?P<port>[^:]*))?")
_MOST = 65535


class DatabaseSettings(Area):
    """The database, and the folder of what is embedded."""

    db_host: str | None = named("DB_HOST", None, _HOSTS)
    db_port: int = named("DB_PORT", 3306, "port of that server, or of those without their own", ge=1, le=65535)
    db_user: str | None = named("DB_USER", None, "user on that server")
    db_password: SecretStr | None = named("DB_PASSWORD", None, "password of that user")
    db_password_file: Path | None = named("DB_PASSWORD_FILE", None, "file with that password")
    db_name: str = named("DB_NAME", "authservice", "name of the database there")
    database_url: SecretStr | None = Field(
        None, description="full address of the database, in place of the DB_ variables"
    )
    database_url_file: Path | None = Field(None, description="file with that address")
    database_ca_file: Path | None = Field(
        None, description="CA that signed the database server's certificate; turns TLS on"
    )
    data_dir: Path = Field(Path("data"), description="folder of the SQLite file and the generated master key")

    @field_validator("db_host")
    @classmethod
    def _a_host(cls, host: str | None) -> str | None:
        return None if host is None else host_name(host)

    @field_validator("database_url")
    @classmethod
    def _an_address(cls, address: SecretStr | None) -> SecretStr | None:
        if address is not None and not _ADDRESS.match(address.get_secret_value()):
            raise ValueError("must look like mysql://user:password@host:3306/name or sqlite:///path")
        return address

    @field_validator("db_host")
    @classmethod
    def _hosts_with_ports(cls, hosts: str | None) -> str | None:
        for host, port in _places(hosts, 0):
            if not host or re.search(r"[\s/@?#\[\]]", host) or not 0 <= port <= _MOST:
                raise ValueError("must look like db1, or db1,db2:3307,[::1]:3308, with ports from 1 to 65535")
        return hosts

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.database_url is not None:
            return self
        if self.db_host is not None and self.db_user is None:
            raise ValueError("DB_USER must be set where DB_HOST is")
        # Otherwise a slip in one name would begin a new, empty database.
        given = self.model_fields_set - ({"db_password"} if self.db_password_file else set())
        if self.db_host is None and (others := sorted(given & _OF_A_SERVER)):
            raise ValueError(
                f"DB_HOST must be set where {_listed(others)} {'is' if len(others) == 1 else 'are'}. For the embedded "
                f"SQLite file set none of them, or AUTHSERVICE_DATABASE_URL=sqlite:///{self.data_dir}/authservice.db"
            )
        return self

    @property
    def is_sqlite(self) -> bool:
        """Whether the database is an embedded file."""
        return self.database_address().get_secret_value().startswith("sqlite")

    @property
    def database_file(self) -> Path | None:
        """The absolute path of the embedded database. None for a server, and for what is in memory."""
        _, _, name = self.database_address().get_secret_value().partition(":///")
        name = name.partition("?")[0]
        return (
            None if not self.is_sqlite or not name or name.startswith((":memory:", "file:")) else Path(name).absolute()
        )

    @property
    def database_place(self) -> str:
        """Where the data is, for people: an absolute path, or an address without its password."""
        return str(self.database_file or without_password(self.database_address()))

    def database_address(self) -> SecretStr:
        """Return where the data is, as a URL."""
        if self.database_url is not None:
            return self.database_url
        if self.db_host is None:
            return SecretStr(f"sqlite:///{self.data_dir / 'authservice.db'}")
        password = self.db_password.get_secret_value() if self.db_password else ""
        login = quote(self.db_user or "", safe="") + (":" + quote(password, safe="") if password else "")
        places = ",".join(
            f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            for host, port in _places(self.db_host, self.db_port)
        )
        return SecretStr(f"mysql://{login}@{places}/{quote(self.db_name, safe='')}")


def _places(hosts: str | None, default_port: int) -> list[tuple[str, int]]:
    """Return host and port of each entry; the port is -1 where it is none."""
    places = []
    for entry in hosts.split(",") if hosts else ():
        parts = _PLACE.fullmatch(entry.strip())
        if parts is None:  # An IPv6 address as it is.
            places.append((entry.strip(), default_port))
            continue
        port = parts["port"]
        number = default_port if port is None else int(port) if port.isdecimal() and 0 < int(port) <= _MOST else -1
        places.append((parts["six"] or parts["name"], number))
    return places


def _listed(fields: list[str]) -> str:
    *others, last = (field.upper() for field in fields)
    return f"{', '.join(others)} and {last}" if others else last


def without_password(address: SecretStr) -> str:
    """Return a database address for people to read."""
    text = re.sub(r"(://[^:/@]*):.*@", r"\1:***@", address.get_secret_value(), count=1)
    return re.sub(r"([?&]\w*password=)[^&]*", r"\1***", text)
