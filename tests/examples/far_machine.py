"""Another machine, played by a network namespace: the way there can drop every packet, as no proxy can.

What runs there reaches 127.0.0.1 of this machine under that address, and has 127.0.0.2 for its own. So the programs
need no TLS for it. Only root may make one, and `ip` and `tc` (iproute2) are needed.
"""

import os
import shutil
import subprocess

OWN = "127.0.0.2"
"""The loopback address of the far machine."""

_LOOPBACK_OVER = "net.ipv4.conf.{0}.route_localnet=1 net.ipv4.conf.{0}.rp_filter=0"


def is_possible() -> bool:
    """Tell whether one can be made here."""
    return os.geteuid() == 0 and bool(shutil.which("ip") and shutil.which("tc"))


class FarMachine:
    """Exists from `with` on to the end of the block."""

    def __init__(self) -> None:
        self.name = f"far-{os.getpid()}"
        self._here, self._there = f"here{os.getpid()}", f"there{os.getpid()}"
        self.wrapper = ("ip", "netns", "exec", self.name)
        """What a command is to be run with, to run there."""

    def __enter__(self) -> "FarMachine":
        _run(f"ip netns add {self.name}")
        _run(f"ip link add {self._here} type veth peer name {self._there} netns {self.name}")
        _run(f"ip address add 10.177.0.1/30 dev {self._here}")
        _run(f"ip link set {self._here} up")
        for command in (
            f"ip address add 10.177.0.2/30 dev {self._there}",
            f"ip link set {self._there} up",
            "ip link set lo up",
            "ip route del local 127.0.0.0/8 dev lo table local",
            "ip route del local 127.0.0.1 dev lo table local",
            f"ip route add local {OWN}/32 dev lo table local",
            f"ip route add 127.0.0.1/32 dev {self._there} src 10.177.0.2",
        ):
            self._run_there(command)
        # Else the kernel takes no packet from or for a loopback address that comes over a wire.
        _run(f"sysctl -qw {_LOOPBACK_OVER.format(self._here)}")
        self._run_there(f"sysctl -qw {_LOOPBACK_OVER.format(self._there)} net.ipv4.conf.all.rp_filter=0")
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run(["ip", "link", "del", self._here], check=False)
        subprocess.run(["ip", "netns", "del", self.name], check=False)

    def drop(self) -> None:
        """Drop each packet between the machines, in both directions, and tell nobody."""
        _run(f"tc qdisc replace dev {self._here} root blackhole")
        self._run_there(f"tc qdisc replace dev {self._there} root blackhole")

    def pass_on(self) -> None:
        """Pass packets on again."""
        _run(f"tc qdisc del dev {self._here} root")
        self._run_there(f"tc qdisc del dev {self._there} root")

    def _run_there(self, command: str) -> None:
        _run(" ".join((*self.wrapper, command)))


def _run(command: str) -> None:
    subprocess.run(command.split(), check=True, timeout=10)
