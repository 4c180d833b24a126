"""What authclient.testing is: real tokens and decisions, without a server, threads or sockets."""

import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path

import pytest
from authclient import Observer, TokenRefused, TokenVerifier, current_identity
from authclient._tokens.grammar import payload
from authclient.testing import Clock, Issuer, LocalTrust
from authclient.testing.issuer import ADA

from tests.clients.guarded import Guarded, every_kind, handler, path
from tests.clients.testing.shop_rules import GRACE, RULES, answer, handlers_of

pytest_plugins = ["authclient.testing.fixtures"]


def test_the_tokens_pass_the_real_verifier_and_no_other_issuers(auth_issuer: Issuer, auth_clock: Clock) -> None:
    token = auth_issuer.token(roles=["b", "a"], mfa=True, user_name="grace", user_id=GRACE)
    now = datetime.fromtimestamp(auth_clock(), timezone.utc)
    claims = TokenVerifier("authservice", "internal", auth_issuer.keys.get).verify(token, now)
    assert (claims.user_id, claims.user_name, claims.roles) == (GRACE, "grace", ("a", "b"))
    assert "mfa" in claims.auth_methods
    with pytest.raises(TokenRefused, match="unknown key"):
        TokenVerifier("authservice", "internal", Issuer(auth_clock).keys.get).verify(token, now)


def test_what_no_verifier_would_take_is_said_when_the_token_is_made(auth_issuer: Issuer) -> None:
    for wrong in ("ada", "", ADA.upper(), ADA.replace("-", "")):
        with pytest.raises(ValueError, match=r"^user_id must be a UUID; anything else goes through claims=$"):
            auth_issuer.token(user_id=wrong)
        with pytest.raises(ValueError, match=r"^session_id must be a UUID"):
            auth_issuer.token(session_id=wrong)
    with pytest.raises(TypeError, match=r'^roles must be a list of names, such as \["support"\]$'):
        auth_issuer.token(roles="support")
    assert payload(auth_issuer.token(claims={"sub": "ada"}))["sub"] == "ada"


def test_a_handler_learns_who_the_token_is_for(auth_trust: LocalTrust, auth_issuer: Issuer) -> None:
    handlers = every_kind(lambda _, context: [current_identity(context).user_name.encode()])
    with Guarded(auth_trust, handlers) as server:
        for kind in handlers:
            metadata = auth_issuer.metadata(auth_issuer.token(user_name="grace"))
            assert server.call(kind, metadata=metadata).messages == [b"grace"]


def test_asking_a_thousand_times_leaves_nothing_behind(auth_trust: LocalTrust, auth_issuer: Issuer) -> None:
    def listeners() -> tuple[int, int]:
        return len(auth_issuer._listeners), len(auth_issuer.clock._listeners)

    before, token = listeners(), auth_issuer.token()
    with Guarded(auth_trust, {"wire": handler("unary_unary", answer)}, {"wire": RULES["wire"]}) as server:
        for _ in range(20):
            assert server.call("unary_unary", name="wire", metadata=auth_issuer.metadata(token)).reason is None
    assert listeners() == before


def test_an_observer_of_the_kit_hears_what_a_real_one_would(auth_issuer: Issuer) -> None:
    heard: list[tuple[str, str, bool]] = []

    class Heard(Observer):
        def refused(self, method: str, reason: str, *, enforced: bool) -> None:
            heard.append((method, reason, enforced))

    trust = LocalTrust(auth_issuer, observer=Heard())
    with Guarded(trust, handlers_of(answer), RULES) as server:
        for method in ("cancel", "try_out"):
            server.call("unary_unary", name=method, metadata=auth_issuer.metadata(auth_issuer.token()))
    assert heard == [(path("cancel"), "ROLE_MISSING", True), (path("try_out"), "ROLE_MISSING", False)]


def test_the_fixtures_come_by_name_of_their_plugin(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["authclient.testing.fixtures"]\n')
    (tmp_path / "test_it.py").write_text(
        "def test_it(auth_issuer, auth_trust, auth_clock):\n"
        "    token = auth_issuer.token()\n"
        "    assert auth_trust.judge.judge(token, 10.0).identity.user_name == 'ada'\n"
        "    auth_clock.advance(5)\n"
        "    assert auth_trust.view_age() == 0\n"
        "def test_the_next_one_knows_nothing_of_it(auth_issuer, auth_trust):\n"
        "    assert auth_issuer.view.rule_count == 0 and len(auth_issuer.keys) == 1\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, cwd=tmp_path)
    assert (done.returncode, "2 passed" in done.stdout) == (0, True), done.stdout + done.stderr


def test_the_kit_needs_neither_pytest_nor_a_server_nor_threads_nor_sockets() -> None:
    program = """
import socket, sys, threading
def refuse(*_, **__): raise AssertionError("not in a test kit")
sys.modules["pytest"] = sys.modules["authservice"] = sys.modules["_pytest"] = None
import authclient.testing as kit
socket.socket = socket.create_connection = threading.Thread.start = refuse
clock = kit.Clock(); issuer = kit.Issuer(clock); trust = kit.LocalTrust(issuer)
from authclient._judging.verified import Ask
token = issuer.token(roles=["support"])
assert trust.ask(Ask(token), 1.0).known.roles == {"support"}
issuer.rotate_key(); issuer.revoke(token); issuer.outdate(); clock.advance(5)
trust.stale(); trust.away(); trust.back(); issuer.remove_keys()
from authapi.v1 import auth_service_pb2 as api
kit.guarded(type("S", (), {"__getattr__": lambda *_: print})(), api.DESCRIPTOR.services_by_name["AuthService"], trust)
assert threading.active_count() == 1, threading.enumerate()
assert not [name for name in sys.modules if name.split(".")[0] in ("authservice", "sqlalchemy") and sys.modules[name]]
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, done.stderr
