"""A primary and its replica, as an operator sets them up and fails over from one to the other."""

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import make_url

from tests.mariadb import MariaDb

_PASSWORD = "replica-password"
_MARIADB = ("--log-bin=log", "--sync-binlog=1")
_MYSQL = ("--log-bin=log", "--gtid-mode=ON", "--enforce-gtid-consistency=ON")


class Pair:
    """Two servers; the second repeats what the first does, until it takes over. Both keep their data in a folder."""

    def __init__(self, folder: Path) -> None:
        self.old, self.new = (self._member(folder / name, number) for number, name in enumerate(("one", "two"), 1))
        self._is_mysql = self.old.is_mysql
        self.old.install()
        self.old.execute("CREATE DATABASE served")
        # Who may do everything may also write where others may only read.
        self.old.execute("CREATE USER served@'127.0.0.1' IDENTIFIED BY 'db-password-canary'")
        self.old.execute("GRANT ALL ON served.* TO served@'127.0.0.1'")
        self.old.execute(f"CREATE USER replica@'127.0.0.1' IDENTIFIED BY '{_PASSWORD}'")
        self.old.execute("GRANT REPLICATION SLAVE ON *.* TO replica@'127.0.0.1'")
        self.new.make_data()
        self.new.start("--read-only=ON")
        self._follow()

    @staticmethod
    def _member(folder: Path, number: int) -> MariaDb:
        folder.mkdir(parents=True)
        probe = MariaDb(folder)
        return MariaDb(folder, (f"--server-id={number}", *(_MYSQL if probe.is_mysql else _MARIADB)))

    def _follow(self) -> None:
        if self._is_mysql:
            self.new.execute(
                f"CHANGE REPLICATION SOURCE TO SOURCE_HOST='127.0.0.1', SOURCE_PORT={self.old.port}, "
                f"SOURCE_USER='replica', SOURCE_PASSWORD='{_PASSWORD}', SOURCE_AUTO_POSITION=1, "
                "GET_SOURCE_PUBLIC_KEY=1"
            )
            self.new.execute("START REPLICA")
        else:
            self.new.execute(
                f"CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={self.old.port}, MASTER_USER='replica', "
                f"MASTER_PASSWORD='{_PASSWORD}', MASTER_USE_GTID=slave_pos"
            )
            self.new.execute("START SLAVE")
        self.catch_up()

    def url(self, port: int) -> str:
        """Return the address of the database behind a port, for a user without rights over the server."""
        return make_url(self.old.url("served")).set(username="served", port=port).render_as_string(hide_password=False)

    def catch_up(self) -> None:
        """Wait until the replica has what the primary has."""
        if self._is_mysql:
            ((done,),) = self.old.execute("SELECT @@GLOBAL.gtid_executed")
            ((timed_out,),) = self.new.execute(f"SELECT WAIT_FOR_EXECUTED_GTID_SET('{done}', 30)")
            assert timed_out == 0
        else:
            ((position,),) = self.old.execute("SELECT @@GLOBAL.gtid_binlog_pos")
            ((behind,),) = self.new.execute(f"SELECT MASTER_GTID_WAIT('{position}', 30)")
            assert behind == 0

    def demote(self) -> None:
        """Let the primary be read only, as before any planned failover. Its connections stay."""
        self.old.execute("SET GLOBAL read_only = ON")

    def promote(self) -> None:
        """Let the replica be written to."""
        self.new.execute("STOP REPLICA" if self._is_mysql else "STOP SLAVE")
        self.new.execute("SET GLOBAL read_only = OFF")

    def stop(self) -> None:
        """End both."""
        for each in (self.old, self.new):
            each.stop(signal.SIGKILL)


@contextlib.contextmanager
def running_pair(folder: Path) -> Iterator[Pair]:
    """Yield two servers and leave nothing of them behind."""
    pair = Pair(folder)
    try:
        yield pair
    finally:
        pair.stop()
