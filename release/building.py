"""What a release hands out, made from the sources in one folder, which are those of a commit."""

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

Command = list[str | Path]


def run(command: Command, folder: Path, **environment: str) -> str:
    """Run a command and return what it says on standard output.

    Raises:
        subprocess.CalledProcessError: it failed. What it said has been shown.
    """
    done = subprocess.run(
        [*map(str, command)], cwd=folder, env=os.environ | environment, stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        print(done.stdout, file=sys.stderr)
    done.check_returncode()
    return done.stdout


def build_python(source: Path, out: Path, *kinds: str) -> list[Path]:
    """Build the wheel, the sdist or both (`wheel`, `sdist`), and return them in this order."""
    before = set(out.glob("*"))
    for kind in kinds:
        run([sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", out], source)
    return sorted(set(out.glob("*")) - before, key=lambda path: path.suffix != ".whl")


def build_typescript(source: Path, out: Path) -> Path:
    """Compile the npm package with the pinned compiler, pack it with its licence, and return it."""
    package = source / "clients" / "typescript"
    shutil.copy(source / "LICENSE", package)
    run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], package)
    return out / run(["npm", "pack", "--silent", "--pack-destination", out], package).splitlines()[-1]


def build_go(source: Path, out: Path, version: str) -> Path:
    """Pack the Go module with its licence, and return the archive. It is used by a `replace` where no git is."""
    name = f"authservice-client-go-{version}"
    return _archive(out / f"{name}.tar.gz", {source / "clients" / "go": name, source / "LICENSE": f"{name}/LICENSE"})


def build_protos(source: Path, out: Path, version: str) -> Path:
    """Pack the contract, for those who generate stubs and install no Python, and return the archive."""
    name = f"authservice-protos-{version}"
    return _archive(out / f"{name}.tar.gz", {source / "protos": name, source / "LICENSE": f"{name}/LICENSE"})


def _archive(path: Path, places: dict[Path, str]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for source, name in places.items():
            archive.add(source, name, filter=_of_nobody)
    return path


def _of_nobody(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member
