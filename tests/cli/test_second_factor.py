"""`authservice users remove-second-factor`: help for who has lost phone and recovery codes."""

from pathlib import Path

from authservice import bootstrap
from authservice.config import Settings
from tests.cli.conftest import Run
from tests.conftest import CHEAPEST
from tests.faults.seeding import Seeder


def test_a_second_factor_is_removed_with_every_session_and_a_repetition_says_so(run: Run, tmp_path: Path) -> None:
    assert run("migrate").returncode == 0
    service = bootstrap.assemble(Settings(data_dir=tmp_path / "data"), hash_cost=CHEAPEST)  # type: ignore[call-arg]
    seeds = Seeder(service)
    seeds.app(seeds.user("ada"))
    service.close()
    sealed = run("keys", "rewrap")
    assert sealed.stdout == "Sealed 7 secrets under the newest master key.\n", "that of the app too"
    first = run("users", "remove-second-factor", "ADA")
    assert first.stdout == "Removed the second factor of user ADA; 1 live sessions ended.\n"
    assert run("users", "remove-second-factor", "ada").stdout == "User ada has no second factor.\n"
    assert run("users", "remove-second-factor", "eve").returncode == 1
