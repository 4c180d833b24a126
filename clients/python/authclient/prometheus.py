"""Metrics of a guarded service, for Prometheus. Needs prometheus-client, as `authservice[prometheus]` brings it.

metrics = authclient.prometheus.Metrics()
trust = authclient.Trust("127.0.0.1:50051", audience="internal", observer=metrics)
metrics.follow(trust)
session = authclient.Session("127.0.0.1:50051", observer=metrics)
"""

from collections.abc import Callable
from typing import Protocol

try:
    from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge
except ImportError as error:
    raise ImportError(
        "authclient.prometheus needs prometheus-client: pip install '/path/to/authservice[prometheus]'"
    ) from error

from authclient._judging.observer import Observer


class Viewer(Protocol):
    """What knows how old its knowledge of revocations is. Trust does."""

    @property
    def view_age(self) -> Callable[[], float]: ...


class Metrics(Observer):
    """Counts what a guard decides, and shows whether and how well it follows the authentication service.

    Metrics:
        auth_judged_total: tokens judged; `asked` is yes where Verify was asked.
        auth_refused_total: calls refused, by `method` and `reason`; `enforced` is no where the rule only observes.
        auth_connected: 1 while the stream of revocations is open, else 0.
        auth_view_age_seconds: age of the knowledge of revocations; +Inf before it is complete. See `follow`.
        auth_key_sets_refused_total: sets of keys that were not good.
        auth_threads_failed_total: threads of the client, by `thread`, that an error has ended; each was begun anew.
            Those of a Session that is given these Metrics too: `authclient-renewals` keeps its streams open.

    Args:
        registry: where the metrics are shown. One takes one Metrics; a second raises ValueError.
    """

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self._judged = Counter(
            "auth_judged", "Tokens judged, and whether Verify was asked", ["asked"], registry=registry
        )
        self._refused = Counter(
            "auth_refused",
            "Calls refused; enforced is no where a rule observes",
            ["method", "reason", "enforced"],
            registry=registry,
        )
        self._connected = Gauge("auth_connected", "Whether the stream of revocations is open", registry=registry)
        self._view_age = Gauge("auth_view_age_seconds", "Age of the knowledge of revocations", registry=registry)
        self._view_age.set(float("inf"))
        self._key_sets_refused = Counter("auth_key_sets_refused", "Sets of keys that were not good", registry=registry)
        self._threads_failed = Counter(
            "auth_threads_failed", "Threads that were ended by an error, and begun anew", ["thread"], registry=registry
        )

    def follow(self, trust: Viewer) -> None:
        """Show the age of what a Trust knows, as it is when somebody looks."""
        self._view_age.set_function(trust.view_age)

    def judged(self, method: str, *, asked: bool) -> None:
        self._judged.labels(_yes_or_no(asked)).inc()

    def refused(self, method: str, reason: str, *, enforced: bool) -> None:
        self._refused.labels(method, reason, _yes_or_no(enforced)).inc()

    def connected(self) -> None:
        self._connected.set(1)

    def disconnected(self, why: str) -> None:
        self._connected.set(0)

    def key_set_refused(self, why: str) -> None:
        self._key_sets_refused.inc()

    def thread_failed(self, name: str) -> None:
        self._threads_failed.labels(name).inc()


def _yes_or_no(value: bool) -> str:
    return "yes" if value else "no"
