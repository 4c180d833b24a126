"""Who calls AccountService, and where their mail is."""

import grpc
import pytest

from authservice import bootstrap
from tests.rpc.account.calling import Account
from tests.rpc.account.mailbox import Mailbox


@pytest.fixture
def mailbox(service: bootstrap.Service) -> Mailbox:
    return Mailbox(service)


@pytest.fixture
def anyone(channel: grpc.Channel) -> Account:
    """Return a caller without an access token."""
    return Account(channel, "")
