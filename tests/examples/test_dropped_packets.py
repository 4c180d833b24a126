"""A network that drops every packet for a while: nobody is told, TCP waits longer and longer, and yet all come back."""

import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.examples.far_machine import OWN, FarMachine, is_possible
from tests.examples.programs import PYTHON_SERVICE, ROOT, AuthProcess, Command, Program
from tests.faults.processes import wait_until
from tests.observed import PASSWORD

DROPPED_SECONDS = (7.0, 45.0)
"""Shorter and longer than a view may be old."""
AGE_SECONDS = 12.0
"""After so long no view is young enough for anything but what is public: 10 s, and how far a session's call may lag."""
PROMISED = 10.0
"""Seconds after there is a way again within which everything has to work."""
LONG = 90.0
PORTS = {"python": 50061, "go": 50062, "typescript": 50063}
"""On the far machine, where nobody else listens."""

pytestmark = pytest.mark.skipif(not is_possible(), reason="only root makes network namespaces, with `ip` and `tc`")


class Outcomes:
    """What the callers on the far machine have printed."""

    def __init__(self, program: Program) -> None:
        self._program = program

    def since(self, moment: float) -> dict[str, list[tuple[float, str]]]:
        """Return how calls ended after a moment, by caller: the moment and the outcome of each."""
        found: dict[str, list[tuple[float, str]]] = {}
        for at, name, outcome in re.findall(r"^call (\S+) (\S+) (\S+)\n", self._program.output(), re.MULTILINE):
            if float(at) > moment:
                found.setdefault(name, []).append((float(at), outcome))
        return found

    def first_good(self, moment: float) -> dict[str, float]:
        """Return for each caller that was answered after a moment when it was for the first time."""
        return {
            name: min(at for at, outcome in outcomes if outcome == "OK") - moment
            for name, outcomes in self.since(moment).items()
            if any(outcome == "OK" for _, outcome in outcomes)
        }


@pytest.mark.parametrize("dropped", DROPPED_SECONDS)
def test_everything_works_again_soon_after_a_network_that_dropped_all_packets(
    dropped: float,
    auth: AuthProcess,
    start: Callable[..., Program],
    go_orders: Path,
    typescript_orders: Command,
) -> None:
    services: dict[str, Command] = {
        "python": (sys.executable, PYTHON_SERVICE, "--listen", f"{OWN}:{PORTS['python']}", "--auth", auth.address),
        "go": (go_orders, "serve", "-listen", f"{OWN}:{PORTS['go']}", "-auth", auth.address),
        "typescript": (*typescript_orders, "serve", "--listen", f"{OWN}:{PORTS['typescript']}", "--auth", auth.address),
    }
    with FarMachine() as far:
        for command in services.values():
            start(*far.wrapper, *command).wait_for(f"{OWN}:")
        addresses = [f"{name}={OWN}:{PORTS[name]}" for name in services]
        caller = (sys.executable, "-m", "tests.examples.far_callers", auth.address, "ada", PASSWORD, *addresses)
        program = start(*far.wrapper, "env", f"PYTHONPATH={ROOT}", *caller)
        outcomes = Outcomes(program)
        everybody = {"session", "verify", *services}
        wait_until(lambda: outcomes.first_good(0).keys() == everybody, LONG, "calls of everybody")
        far.drop()
        too_old = time.monotonic() + AGE_SECONDS
        time.sleep(dropped)  # How long a network is away is what is tried here.
        meanwhile = [each for seen in outcomes.since(too_old).values() for each in seen]
        assert "OK" not in {outcome for _, outcome in meanwhile}, "a view that is too old lets nobody in"
        since = time.monotonic()
        far.pass_on()
        wait_until(lambda: outcomes.first_good(since).keys() == everybody, LONG, "answers for everybody")
        took = outcomes.first_good(since)
        print(f"\npackets dropped for {dropped:.0f} s:", {name: f"{seconds:.1f} s" for name, seconds in took.items()})
        assert max(took.values()) < PROMISED
