"""`authclient lint` and the authentication service itself."""

import pytest

from tests.clients.test_lint import outcome, process


@pytest.mark.parametrize("backend", ["sqlite"])
def test_a_running_server_is_read_through_its_reflection(port: int) -> None:
    code, lines, last = outcome(process("--server", f"127.0.0.1:{port}", "--role", "support"))
    assert (code, lines) == (0, [])
    assert last.endswith(" 0 without a usable rule.")
