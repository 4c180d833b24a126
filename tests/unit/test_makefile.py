"""`make`, with a Python that is too old or gone: said before anything is made, and made good afterwards."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def old_python(tmp_path: Path) -> Path:
    """Return a program that answers make's questions as Python 3.10 would."""
    path = tmp_path / "python3.10"
    path.write_text('#!/bin/sh\n[ "$1" = -V ] && echo "Python 3.10.13" && exit 0\nexit 1\n')
    path.chmod(0o755)
    return path


def make(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = ["make", "-C", str(ROOT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_an_old_python_is_refused_before_the_environment_is_made(old_python: Path, tmp_path: Path) -> None:
    done = make("serve", f"PYTHON={old_python}", f"VENV={tmp_path}/venv")
    assert done.returncode == 2
    assert f"{old_python} is Python 3.10.13. Name one that is 3.11 or newer" in done.stderr
    assert not (tmp_path / "venv").exists()


def test_a_python_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = make("serve", "PYTHON=python9.9", f"VENV={tmp_path}/venv")
    assert "There is no python9.9." in done.stderr
    assert not (tmp_path / "venv").exists()


@pytest.mark.parametrize("is_gone", [False, True], ids=["old", "gone"])
def test_an_environment_of_an_old_python_or_of_one_that_is_gone_is_made_anew(
    old_python: Path, tmp_path: Path, is_gone: bool
) -> None:
    venv = tmp_path / "venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "pyvenv.cfg").touch()
    (venv / "bin" / "python").symlink_to(tmp_path / "gone" if is_gone else old_python)
    for stamp in ("server.stamp", "dev.stamp"):
        (venv / stamp).touch()
    done = make("-n", "setup", f"PYTHON={sys.executable}", f"VENV={venv}")
    assert f"{venv} has no Python 3.11 or newer and is made anew." in done.stderr
    assert f"-m venv --without-pip {venv}" in done.stdout
    assert not venv.exists()


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    """Return an environment of the Python that runs this."""
    venv = tmp_path / "venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "pyvenv.cfg").touch()
    (venv / "bin" / "python").symlink_to(sys.executable)
    return venv


def test_an_environment_that_is_well_is_left_alone(venv: Path) -> None:
    for named in ((), (f"PYTHON={sys.executable}",)):
        done = make("-n", "help", f"VENV={venv}", *named)
        assert (done.returncode, done.stderr) == (0, "")
    assert venv.exists()


def test_an_environment_of_another_python_than_the_one_that_is_named_is_made_anew(venv: Path, tmp_path: Path) -> None:
    another = tmp_path / "python3.14"
    another.write_text('#!/bin/sh\ncase "$2" in *base_prefix*) echo another ;; esac\n')
    another.chmod(0o755)
    done = make("-n", "serve", f"PYTHON={another}", f"VENV={venv}")
    assert f"{venv} has another Python than {another} and is made anew." in done.stderr
    assert f"{another} -m venv --without-pip {venv}" in done.stdout
    assert not venv.exists()


def test_no_environment_is_thrown_away_for_a_python_that_could_not_make_one(venv: Path, old_python: Path) -> None:
    for python, says in ((old_python, "is Python 3.10.13."), ("python9.9", "There is no python9.9.")):
        done = make("serve", f"PYTHON={python}", f"VENV={venv}")
        assert done.returncode == 2
        assert says in done.stderr
        assert f"{venv} stays as it is" in done.stderr
        assert venv.exists()


def test_stubs_are_made_and_looked_at_in_all_three_languages() -> None:
    made = make("-n", "generate").stdout
    for part in ("--grpc_python_out=clients/python", "clients/go/generate.sh", "cd clients/typescript"):
        assert part in made
    checks = (ROOT / "tests" / "contract_checks.sh").read_text()
    for part in ("generate-python", "clients/go/generate.sh", "clients/typescript/generate.sh"):
        assert part in checks
