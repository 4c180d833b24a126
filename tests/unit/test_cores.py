"""How many cores there are for the server, by what both versions of control groups say."""

from pathlib import Path

import pytest

from authservice.serving.cores import Cores, quota, usable_cores

V1 = "33 32 0:28 {root} /sys/fs/cgroup/cpu,cpuacct rw,nosuid - cgroup cgroup rw,cpu,cpuacct"
V1_OTHER = "34 32 0:29 / /sys/fs/cgroup/cpuset rw,nosuid - cgroup cgroup rw,cpuset"
V2 = "30 24 0:26 {root} /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate"
DISK = "24 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw"


class Machine:
    """A folder with the files of a machine."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, path: str, *lines: str) -> None:
        """Write a file."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(f"{line}\n" for line in lines))

    def version_1(self, path: str, time: int, period: int = 100_000) -> None:
        """Limit a group of version 1."""
        folder = f"sys/fs/cgroup/cpu,cpuacct/{path}"
        self.write(f"{folder}/cpu.cfs_quota_us", str(time))
        self.write(f"{folder}/cpu.cfs_period_us", str(period))

    def version_2(self, path: str, limit: str) -> None:
        """Limit a group of version 2."""
        self.write(f"sys/fs/cgroup/{path}/cpu.max", limit)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_machine_without_control_groups_limits_nothing(machine: Machine) -> None:
    assert quota(machine.root) is None
    machine.write("proc/self/cgroup", "0::/")
    machine.write("proc/self/mountinfo", DISK)
    assert quota(machine.root) is None


@pytest.mark.parametrize(("limit", "cores"), [("50000 100000", 0.5), ("max 100000", None), ("250000 100000", 2.5)])
def test_the_quota_of_version_2_in_a_container(machine: Machine, limit: str, cores: float | None) -> None:
    machine.write("proc/self/cgroup", "0::/")
    machine.write("proc/self/mountinfo", DISK, V2.format(root="/"))
    machine.version_2("", limit)
    assert quota(machine.root) == cores


def test_the_least_of_the_groups_around_counts_in_version_2(machine: Machine) -> None:
    machine.write("proc/self/cgroup", "0::/system.slice/authservice.service")
    machine.write("proc/self/mountinfo", DISK, V2.format(root="/"))
    machine.version_2("system.slice/authservice.service", "300000 100000")
    assert quota(machine.root) == 3
    machine.version_2("system.slice", "150000 100000")
    assert quota(machine.root) == 1.5
    machine.version_2("system.slice/authservice.service", "max 100000")
    assert quota(machine.root) == 1.5


@pytest.mark.parametrize(("time", "cores"), [(50_000, 0.5), (-1, None), (400_000, 4)])
def test_the_quota_of_version_1(machine: Machine, time: int, cores: float | None) -> None:
    machine.write("proc/self/cgroup", "9:cpuset:/", "4:cpu,cpuacct:/user.slice", "1:name=systemd:/elsewhere")
    machine.write("proc/self/mountinfo", DISK, V1_OTHER, V1.format(root="/"))
    machine.version_1("user.slice", time)
    machine.version_1("", -1)
    assert quota(machine.root) == cores


def test_a_container_of_version_1_whose_mount_shows_its_own_group_only(machine: Machine) -> None:
    machine.write("proc/self/cgroup", "4:cpu,cpuacct:/docker/0a1b", "0::/")
    machine.write("proc/self/mountinfo", DISK, V1.format(root="/docker/0a1b"))
    machine.version_1("", 75_000)
    assert quota(machine.root) == 0.75


def test_where_both_versions_are_mounted_the_one_that_limits_counts(machine: Machine) -> None:
    machine.write("proc/self/cgroup", "4:cpu,cpuacct:/a", "0::/a")
    machine.write("proc/self/mountinfo", V1.format(root="/"), V2.format(root="/").replace("cgroup rw", "cgroup/u rw"))
    machine.version_1("a", 200_000)
    machine.version_2("u/a", "max 100000")
    assert quota(machine.root) == 2


def test_a_mount_point_with_a_space_is_found(machine: Machine) -> None:
    machine.write("proc/self/cgroup", "0::/")
    machine.write("proc/self/mountinfo", "30 24 0:26 / /sys/control\\040groups rw - cgroup2 cgroup2 rw")
    machine.write("sys/control groups/cpu.max", "100000 100000")
    assert quota(machine.root) == 1


@pytest.mark.parametrize("line", ["", "max", "0 100000", "100000 0", "half 100000"])
def test_what_is_no_quota_limits_nothing(machine: Machine, line: str) -> None:
    machine.write("proc/self/cgroup", "0::/")
    machine.write("proc/self/mountinfo", V2.format(root="/"))
    machine.version_2("", line)
    assert quota(machine.root) is None


@pytest.mark.parametrize(("limit", "count"), [(None, 8), (0.5, 1), (1.0, 1), (1.5, 2), (64.0, 8)])
def test_a_part_of_a_core_is_one_that_is_to_be_kept_busy(limit: float | None, count: int) -> None:
    assert Cores(tuple(range(8)), limit).count == count


def test_what_was_found_is_said_in_words() -> None:
    assert str(Cores((0, 1, 4))) == "3 to run on"
    assert str(Cores((0, 1, 4), 0.5)) == "3 to run on, 0.5 by the quota of the control group"


def test_this_machine_has_at_least_one() -> None:
    assert usable_cores().count >= 1
