"""The versions that the clients run beside: what they ask for, documents say and `make client-versions` tries."""

import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "tests" / "client_versions"


def asked_of_python() -> dict[str, str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = {each.name: str(each.specifier) for each in map(Requirement, project["dependencies"])}
    return {name: asked.removeprefix(">=") for name, asked in (needed | {"Python": project["requires-python"]}).items()}


def asked_of_go() -> dict[str, str]:
    said = (ROOT / "clients/go/go.mod").read_text()
    needed = dict(re.findall(r"^\t(google\.golang\.org/(?:grpc|protobuf)) v(\S+)$", said, re.MULTILINE))
    oldest = re.search(r"^go (\d+\.\d+)\.0$", said, re.MULTILINE)
    assert oldest
    return needed | {"Go": oldest[1]}


def asked_of_node() -> dict[str, str]:
    said = json.loads((ROOT / "clients/typescript/package.json").read_text())
    assert said["peerDependencies"].items() <= said["devDependencies"].items(), "the ring tries what services may have"
    needed = said["peerDependencies"] | {"TypeScript": said["devDependencies"]["typescript"]}
    return {name: asked.lstrip("^") for name, asked in needed.items()} | {
        "Node.js": said["engines"]["node"].lstrip(">=")
    }


def test_the_table_of_versions_says_what_the_packages_ask_for() -> None:
    page = (ROOT / "docs" / "protect-a-service.md").read_text()
    table = page.partition("| | at least | |\n| --- | --- | --- |\n")[2].partition("\n\n")[0]
    said = dict(re.findall(r"^\| (\S+) \| (\S+) \|", table, re.MULTILINE))
    assert said == asked_of_python() | asked_of_go() | asked_of_node()


def test_the_ring_begins_with_the_oldest_of_each() -> None:
    makefile = (ROOT / "Makefile").read_text()
    tried = {name: versions.split() for name, versions in re.findall(r"^(\w+) +\?= ([\d. ]+)", makefile, re.MULTILINE)}
    assert tried["PYTHONS"][0] == asked_of_python()["Python"]
    assert tried["GOS"][0] == asked_of_go()["Go"] + ".0"
    assert tried["NODES"][0] == asked_of_node()["Node.js"]


def ring(folder: Path, *what: str) -> "subprocess.CompletedProcess[str]":
    command = [str(SCRIPTS / "each.sh"), "bin", *what]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    """Return a folder with a part that passes, one that fails, and one that is not to be had."""
    folder = tmp_path / "tests" / "client_versions"
    folder.mkdir(parents=True)
    for name, code in {"good": 0, "bad": 1, "absent": 3}.items():
        (folder / f"{name}.sh").write_text(f"#!/bin/sh\nexit {code}\n")
        (folder / f"{name}.sh").chmod(0o755)
    return tmp_path


def test_the_ring_says_what_passed_and_what_was_not_tried(parts: Path) -> None:
    done = ring(parts, "good1.2", "absent3")
    assert done.returncode == 0
    assert "good1.2, lowest: passed\ngood1.2, newest: passed\nabsent3, lowest: not tried" in done.stdout


@pytest.mark.parametrize("what", [("good1", "bad2"), ("bad2", "good1"), ("absent3",), ()])
def test_the_ring_fails_where_something_failed_or_nothing_could_be_tried(parts: Path, what: tuple[str, ...]) -> None:
    assert ring(parts, *what).returncode == 1


def test_a_python_that_is_not_on_this_machine_is_not_tried() -> None:
    done = ring(ROOT, "python9.9")
    assert "Python 9.9 is not on this machine" in done.stderr
    assert "python9.9, lowest: not tried" in done.stdout
