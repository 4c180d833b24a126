"""What Prometheus sees of a guard."""

import importlib
import subprocess
import sys
from collections.abc import Iterator

import pytest

pytest.importorskip("prometheus_client")

import authclient.prometheus
from authapi.v1.rule_pb2 import Rule
from authclient import Trust
from authclient.prometheus import Metrics
from prometheus_client import CollectorRegistry, generate_latest

from tests.clients.auth_server import AuthServer
from tests.clients.eventually import SOON, eventually
from tests.clients.guarded import SIGNED_IN, Guarded, path
from tests.clients.noted import Noted
from tests.clients.scripted import bearer, token
from tests.clients.stand_ins import Hands
from tests.clients.trusts import NewTrust


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def metrics(registry: CollectorRegistry) -> Metrics:
    return Metrics(registry)


@pytest.fixture
def observed(auth: AuthServer, new_trust: NewTrust, metrics: Metrics, hands: Hands) -> Trust:
    """Return a Trust that is ready, whose metrics are shown."""
    auth.uptime = hands
    made = new_trust(auth, observer=metrics, monotonic=hands)
    metrics.follow(made)
    assert made.wait_until_ready(SOON)
    return made


@pytest.fixture
def counted(observed: Trust, noted: Noted) -> Iterator[Guarded]:
    """Yield a service behind it, with a rule that is enforced and one that only observes."""
    rules = {"Buy": SIGNED_IN, "Try": Rule(authenticated=True, observe=True)}
    with Guarded(observed, dict.fromkeys(rules, noted.by_kind["unary_unary"]), rules) as served:
        yield served


def test_calls_are_counted_by_what_became_of_them(counted: Guarded, registry: CollectorRegistry) -> None:
    counted.call("unary_unary", name="Buy", metadata=bearer(token()))
    for name in ("Buy", "Try", "Try"):
        counted.call("unary_unary", name=name)

    def refused(name: str, enforced: str) -> float | None:
        labels = {"method": path(name), "reason": "TOKEN_MISSING", "enforced": enforced}
        return registry.get_sample_value("auth_refused_total", labels)

    assert registry.get_sample_value("auth_judged_total", {"asked": "no"}) == 1
    assert (refused("Buy", "yes"), refused("Try", "no"), refused("Try", "yes")) == (1, 2, None)


def test_the_age_is_that_of_the_moment_in_which_somebody_looks(
    observed: Trust, registry: CollectorRegistry, hands: Hands, auth: AuthServer
) -> None:
    def age() -> float:
        found = registry.get_sample_value("auth_view_age_seconds")
        assert found is not None
        return found

    auth.stop()
    eventually(lambda: registry.get_sample_value("auth_connected") == 0, "the connection is lost")
    before = age()
    hands.now += 7
    assert age() - before == pytest.approx(7)


def test_before_there_is_a_view_it_is_infinitely_old(metrics: Metrics, registry: CollectorRegistry) -> None:
    assert registry.get_sample_value("auth_view_age_seconds") == float("inf")
    assert registry.get_sample_value("auth_connected") == 0


def test_bad_keys_are_counted(metrics: Metrics, registry: CollectorRegistry) -> None:
    metrics.key_set_refused("a key is bad")
    assert registry.get_sample_value("auth_key_sets_refused_total") == 1
    assert b"a key is bad" not in generate_latest(registry)


def test_no_token_is_among_the_metrics(counted: Guarded, registry: CollectorRegistry) -> None:
    good = token()
    counted.call("unary_unary", name="Buy", metadata=bearer(good))
    counted.call("unary_unary", name="Buy", metadata=bearer(good[:-2]))
    shown = generate_latest(registry).decode()
    assert "TOKEN_INVALID" in shown
    assert not any(part in shown for part in good.split("."))


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(ImportError, match=r"pip install '/path/to/authservice\[prometheus\]'"):
        importlib.reload(authclient.prometheus)


def test_nothing_else_of_the_client_needs_the_package() -> None:
    code = "import sys; sys.modules['prometheus_client'] = None; import authclient, authclient.aio, authclient.testing"
    subprocess.run([sys.executable, "-c", code], check=True)
