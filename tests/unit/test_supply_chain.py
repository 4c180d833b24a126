"""What the service is built from: pinned, by hash, and not older than its promises need."""

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[2]
LOCKS = ("requirements/server.txt", "requirements/dev.txt")
STUBS = ("requirements/messages.txt", "requirements/services.txt")

FLOORS = {
    "pyjwt": "2.15.0",  # refuses tokens with unknown `crit` (CVE-2026-32597) and keys of another kind
    "grpcio": "1.65.4",  # header-table poisoning (CVE-2024-7246)
    "bcrypt": "5.0.0",  # refuses, and does not cut, what is longer than 72 bytes
    "cryptography": "46.0.0",
    "pymysql": "1.1.1",  # SQL injection through dictionary keys (CVE-2024-36039)
}


def pinned(lock: str) -> dict[str, tuple[str, int]]:
    """Return name, version and number of hashes of each pin."""
    pins = {}
    for block in re.split(r"\n(?=[a-z0-9])", (ROOT / lock).read_text()):
        match = re.match(r"([a-z0-9._-]+)==([^ ;\\]+)", block)
        if match:
            pins[match[1]] = (match[2], block.count("--hash=sha256:"))
    return pins


@pytest.mark.parametrize("lock", [*LOCKS, "requirements/toolchains.txt", "requirements/advisories.txt", *STUBS])
def test_u1_every_dependency_is_pinned_by_hash(lock: str) -> None:
    pins = pinned(lock)
    assert len(pins) > (20 if lock in LOCKS else 1)
    assert [name for name, (_, hashes) in pins.items() if hashes == 0] == []
    assert "://" not in (ROOT / lock).read_text(), "a lock names no place to download from"


@pytest.mark.parametrize("folder", ["clients/typescript", "tests/tracing/otel"])
def test_u1_what_is_for_node_is_pinned_by_hash_and_names_no_registry(folder: str) -> None:
    lock = json.loads((ROOT / folder / "package-lock.json").read_text())
    packages = {name: package for name, package in lock["packages"].items() if name}
    assert len(packages) > 5
    assert [name for name, package in packages.items() if "integrity" not in package or "resolved" in package] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_u1_the_pins_satisfy_what_the_project_asks_for(lock: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["server"]]
    pins = pinned(lock)
    for requirement in map(Requirement, wanted):
        assert pins[requirement.name][0] in requirement.specifier


def test_u1_a_service_that_only_checks_tokens_installs_no_server() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    light = {Requirement(text).name for text in project["dependencies"]}
    assert light.isdisjoint({"sqlalchemy", "bcrypt", "pymysql", "alembic", "click"})


@pytest.mark.skipif(shutil.which("npm") is None, reason="no npm on this machine")
def test_u1_that_nobody_could_be_asked_for_advisories_is_no_clean_bill() -> None:
    nobody = {"npm_config_registry": "http://127.0.0.1:9", "npm_config_fetch_retries": "0"}
    asked = subprocess.run(
        ["tests/advisories.sh", "typescript"],
        cwd=ROOT,
        env=os.environ | nobody,
        capture_output=True,
        text=True,
        check=False,
    )
    assert asked.returncode == 1
    assert "nobody who could tell" in asked.stdout


@pytest.mark.parametrize(("name", "floor"), FLOORS.items())
def test_u2_nothing_is_older_than_the_faults_it_must_not_have(name: str, floor: str) -> None:
    assert Version(importlib.metadata.version(name)) >= Version(floor)
    assert Version(pinned("requirements/server.txt")[name][0]) >= Version(floor)


def test_u2_the_server_allows_those_versions_of_grpcio_that_are_tried() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [Requirement(text) for text in project["optional-dependencies"]["server"]]
    (allowed,) = [requirement.specifier for requirement in wanted if requirement.name == "grpcio"]
    (tried,) = re.findall(r"^GRPCIO +\?= ([0-9. ]+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    oldest, *_ = versions = sorted(map(Version, tried.split()))
    assert all(version in allowed for version in versions)
    assert f">={oldest}" in map(str, allowed)
    assert Version(f"{oldest.major}.{oldest.minor + 1}") not in allowed


def test_what_a_service_installs_holds_the_contract_beside_the_stubs(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    contract = {path.relative_to(ROOT / "protos").as_posix() for path in (ROOT / "protos").rglob("*.proto")}
    assert contract <= names
    assert {"authapi/v1/rule_pb2.py", "authclient/py.typed"} <= names
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/", "examples/"))]
