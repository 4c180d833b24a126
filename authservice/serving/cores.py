"""How many cores the server may use: those that it may run on, and how much of them its control groups let it have.

A container with half a core on a machine of 64 may run on all of them, and is stopped for the rest of each tenth of a
second once it has had its half.
"""

import math
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_CPU = "cpu"
_TYPES = {"cgroup": ("cpu.cfs_quota_us", "cpu.cfs_period_us"), "cgroup2": ("cpu.max",)}
"""By the type of the file system: what holds the time that a group gets, and the period that it gets it in."""
_OCTAL = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Cores:
    """What may be used.

    Args:
        numbers: the cores that this process may run on.
        quota: how many of them it may keep busy all the time, such as 0.5. None is all of them.
    """

    numbers: tuple[int, ...]
    quota: float | None = None

    @property
    def count(self) -> int:
        """How many there are to be kept busy, one at least."""
        return min(len(self.numbers), max(1, math.ceil(self.quota))) if self.quota else len(self.numbers)

    def __str__(self) -> str:
        runs_on = f"{len(self.numbers)} to run on"
        return runs_on if self.quota is None else f"{runs_on}, {self.quota:g} by the quota of the control group"


def usable_cores() -> Cores:
    """Return those of this process."""
    return Cores(tuple(sorted(os.sched_getaffinity(0))), quota())


def quota(root: Path = Path("/")) -> float | None:
    """Return how many cores the control groups of this process allow, of versions 1 and 2. None is no limit.

    See cgroups(7), and proc_pid_mountinfo(5).

    Args:
        root: where `proc/self` and the mounted control groups are.
    """
    quotas = [limit for folder, files in _groups(root) if (limit := _limit(folder, files)) is not None]
    return min(quotas, default=None)


def _groups(root: Path) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """Yield the folder of each group that limits this process, and the files there: its own, and those around it."""
    own = dict(_own_groups(root))
    for line in _lines(root / "proc/self/mountinfo"):
        mount, _, rest = line.partition(" - ")
        _, _, _, mounted, point, *_ = mount.split(" ")
        kind, _, options = rest.split(" ")[:3]
        if kind not in own or (kind == "cgroup" and _CPU not in options.split(",")):
            continue
        top = root / _OCTAL.sub(lambda code: chr(int(code[1], 8)), point).lstrip("/")
        # Where the mount shows only a part of the tree, paths begin above it.
        inside = Path(own[kind].removeprefix(mounted.rstrip("/")).lstrip("/"))
        for folder in (inside, *inside.parents):
            yield top / folder, _TYPES[kind]


def _own_groups(root: Path) -> Iterator[tuple[str, str]]:
    """Yield the type and the path of the groups of this process that may limit it."""
    for line in _lines(root / "proc/self/cgroup"):
        number, controllers, path = line.split(":", 2)
        if number == "0":
            yield "cgroup2", path
        elif _CPU in controllers.split(","):
            yield "cgroup", path


def _limit(folder: Path, files: tuple[str, ...]) -> float | None:
    words = [word for file in files for line in _lines(folder / file) for word in line.split()]
    # Without a limit the time is the word `max`, or -1.
    if len(words) != 2 or not all(word.isdecimal() for word in words):
        return None
    time, period = map(int, words)
    return time / period if time and period else None


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return []
