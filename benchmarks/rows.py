"""What every measurement shares: rows of the table, and the real server to measure."""

import base64
import os
import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from authservice.config import Settings
from benchmarks.flood import Flood, Outcome, Request
from benchmarks.processes import Serving, serving

SERVICE = "/authapi.v1.AuthService"
MASTER_KEY = base64.b64encode(os.urandom(32)).decode()
COST = 12
NONE = float("nan")
"""A figure that a row does not have."""

Measured: TypeAlias = tuple[Outcome, float]
"""An outcome, and the server's processor time per answer in microseconds."""


@dataclass(slots=True)
class Row:
    """One line of the table: medians over the rounds. `ratio` is to the floor that `against` names."""

    name: str
    rate: float
    p50: float
    p99: float
    cpu: float
    ratio: float | None = None
    against: str = ""

    def __str__(self) -> str:
        ratio = f"{self.ratio:5.2f} x {self.against}" if self.ratio is not None else self.against
        return f"{self.name:<38}{self.rate:>9.1f}{self.p50:>10.2f}{self.p99:>10.2f}{self.cpu:>10.0f}   {ratio}"


@dataclass(slots=True)
class Bench:
    """What every measurement shares."""

    seconds: float
    rounds: int
    sessions: int
    folder: Path

    def settings(self, url: str, name: str) -> Settings:
        """Return settings for a database, in a folder of its own."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        return Settings(_env_file=None, database_url=url, data_dir=folder, master_key=MASTER_KEY)  # type: ignore[call-arg,arg-type]

    def sqlite(self, name: str) -> str:
        """Return the address of an SQLite file that is not there yet."""
        return f"sqlite:///{self.folder / name}.db"

    def flood(self, server: Serving, method: str, requests: Sequence[Request], *, once: bool = False) -> Measured:
        """Flood one method for a time, or with each request `once`. A name alone is one of AuthService's."""
        before = server.cpu_seconds()
        path = method if method.startswith("/") else f"{SERVICE}/{method}"
        outcome = Flood(server.port, path, requests, once=once).run(600 if once else self.seconds)
        if outcome.failed:
            raise RuntimeError(f"{method}: {outcome.failed} calls failed; the figures would be worthless")
        return outcome, (server.cpu_seconds() - before) / len(outcome.latencies) * 1e6


def summary(name: str, results: list[Measured]) -> Row:
    """Return the medians of several outcomes."""
    return Row(
        name,
        statistics.median(outcome.rate for outcome, _ in results),
        statistics.median(outcome.percentile(0.5) for outcome, _ in results),
        statistics.median(outcome.percentile(0.99) for outcome, _ in results),
        statistics.median(cpu for _, cpu in results),
    )


def variables(settings: Settings) -> dict[str, str]:
    """Return the environment of a server with these settings."""
    return {
        "AUTHSERVICE_DATABASE_URL": settings.database_address().get_secret_value(),
        "AUTHSERVICE_DATA_DIR": str(settings.data_dir),
        "AUTHSERVICE_MASTER_KEY": MASTER_KEY,
        "AUTHSERVICE_BCRYPT_COST": str(COST),
    }


@contextmanager
def auth_server(settings: Settings, cores: list[int]) -> Iterator[Serving]:
    """Run the real server with one worker on some cores."""
    arguments = ["authservice", "serve", "--port", "{port}", "--workers", "1"]
    with serving(arguments, variables(settings), cores) as server:
        yield server
