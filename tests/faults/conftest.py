"""Users and sessions from before a fault, and a served service whose database can be made to fail."""

import os
from collections.abc import Iterator

import grpc
import pytest

from authservice import bootstrap
from authservice.config import Settings
from authservice.domain.deadline import Deadline
from tests.conftest import RecordedAudit, serve_in_process
from tests.faults.faulty import FaultyDatabase, with_database
from tests.faults.operations import Operations
from tests.faults.seeding import Seeder, seeder
from tests.observed import ObservedChannel

_ON_DEMAND = {"AUTHSERVICE_TEST_VERSIONS": "test_versions.py", "AUTHSERVICE_TEST_NETWORKS": "test_stopped_servers.py"}
collect_ignore = [file for variable, file in _ON_DEMAND.items() if variable not in os.environ]
"""What `make upgrades` runs, with the packages of another time, and what `make networks` does, which takes long."""


@pytest.fixture
def seeds(settings: Settings) -> Iterator[Seeder]:
    """Yield what makes users and sessions without the server."""
    with seeder(settings) as seeds:
        yield seeds


@pytest.fixture
def faulty(database_url: str) -> Iterator[FaultyDatabase]:
    """Yield the database of the test, through a driver that fails as planned."""
    database = FaultyDatabase(database_url)
    # SQLAlchemy asks a few questions on the first connection; they are no part of any call.
    database.read(lambda _: None, Deadline.after(5))
    yield database
    database.engine.dispose()


@pytest.fixture
def operations(service: bootstrap.Service, faulty: FaultyDatabase, audit: RecordedAudit) -> Iterator[Operations]:
    """Yield calls to a server on the faulty database."""
    server, port = serve_in_process(with_database(service, faulty))
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield Operations(ObservedChannel.around(channel), service, audit)
    server.stop(0)
