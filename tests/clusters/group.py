"""A group of MySQL servers: every member a primary, or one of them."""

import signal
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pymysql

from tests.clusters.cluster import JOIN_SECONDS
from tests.faults.processes import wait_until
from tests.mariadb import MariaDb, find_server, free_port
from tests.memory import folder_in_memory

_ONLINE = "SELECT COUNT(*) FROM performance_schema.replication_group_members WHERE member_state = 'ONLINE'"


class Group:
    """So many members. The first begins, the others join it one after the other."""

    def __init__(self, folder: Path, size: int, *, has_one_primary: bool) -> None:
        ports = [free_port() for _ in range(size)]
        name = str(uuid.uuid4())
        self.nodes = []
        for number, port in enumerate(ports):
            place = folder / f"node{number}"
            place.mkdir()
            self.nodes.append(MariaDb(place, _options(number + 1, name, port, ports, has_one_primary=has_one_primary)))

    def start(self) -> None:
        """Start all members, and return when each has everything."""
        for node in self.nodes:
            node.make_data()
            node.start()
            node.script(
                "SET SQL_LOG_BIN = 0",
                "CREATE USER replica@'127.0.0.1' IDENTIFIED BY 'replica-password'",
                "GRANT REPLICATION SLAVE, CONNECTION_ADMIN, BACKUP_ADMIN, GROUP_REPLICATION_STREAM ON *.* "
                "TO replica@'127.0.0.1'",
                "SET SQL_LOG_BIN = 1",
                "CHANGE REPLICATION SOURCE TO SOURCE_USER='replica', SOURCE_PASSWORD='replica-password' "
                "FOR CHANNEL 'group_replication_recovery'",
            )
        first, *others = self.nodes
        first.script(
            "SET GLOBAL group_replication_bootstrap_group = ON",
            "START GROUP_REPLICATION",
            "SET GLOBAL group_replication_bootstrap_group = OFF",
        )
        self._wait_online(first, 1)
        first.execute("CREATE USER authservice@'127.0.0.1' IDENTIFIED BY 'db-password-canary'")
        # Who may do everything may also write to a member that is no primary.
        first.execute("GRANT ALL ON authservice.* TO authservice@'127.0.0.1'")
        for number, node in enumerate(others, 2):
            node.script("RESET BINARY LOGS AND GTIDS", "START GROUP_REPLICATION")
            self._wait_online(node, number)

    def rejoin(self, node: MariaDb) -> None:
        """Start a member that was killed, and return when it has what the others have."""
        node.start()
        wait_until(lambda: _joined(node), JOIN_SECONDS, "START GROUP_REPLICATION")
        self._wait_online(node, len(self.nodes))

    @staticmethod
    def _wait_online(node: MariaDb, size: int) -> None:
        wait_until(lambda: node.execute(_ONLINE) == ((size,),), JOIN_SECONDS, f"{size} members online")


def _joined(node: MariaDb) -> bool:
    try:
        node.execute("START GROUP_REPLICATION")
    except pymysql.MySQLError:  # The others may not know yet that it was gone.
        return False
    return True


def _options(number: int, name: str, port: int, ports: list[int], *, has_one_primary: bool) -> list[str]:
    settings = {
        "group_name": name,
        "start_on_boot": "OFF",
        "local_address": f"127.0.0.1:{port}",
        "group_seeds": ",".join(f"127.0.0.1:{each}" for each in ports),
        "ip_allowlist": "127.0.0.1/8",
        "recovery_get_public_key": "ON",
        "single_primary_mode": "ON" if has_one_primary else "OFF",
        "enforce_update_everywhere_checks": "OFF",
        # No five seconds more before one that is silent is given up, and a new primary chosen.
        "member_expel_timeout": "0",
    }
    return [
        f"--server-id={number}",
        "--gtid-mode=ON",
        "--enforce-gtid-consistency=ON",
        "--log-bin=log",
        "--report-host=127.0.0.1",
        "--plugin-load-add=group_replication.so",
        *(f"--loose-group-replication-{name.replace('_', '-')}={value}" for name, value in settings.items()),
    ]


def missing() -> str | None:
    """Return what a group needs and this machine lacks."""
    server = find_server()
    return None if server and MariaDb(Path()).is_mysql else "Oracle's MySQL (AUTHSERVICE_TEST_MYSQLD)"


@contextmanager
def running_group(size: int, *, has_one_primary: bool) -> Iterator[Group]:
    """Yield a group and leave nothing of it behind."""
    with ExitStack() as stack:
        folder = stack.enter_context(folder_in_memory())
        group = Group(folder, size, has_one_primary=has_one_primary)
        for node in group.nodes:
            stack.callback(node.stop, signal.SIGKILL)
        group.start()
        yield group
