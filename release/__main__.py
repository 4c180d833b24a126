"""`make dist` and `make version`. See docs/releasing.md."""

import subprocess
import sys
import tarfile
import tempfile
from io import BytesIO
from pathlib import Path

from release.building import build_go, build_protos, build_python, build_typescript, run
from release.changelog import Stage, stage_of
from release.trials import try_client, try_go_archive, try_go_tag, try_npm, try_sdist, try_server
from release.version import stale_places, version_of, write_everywhere

ROOT = Path(__file__).parents[1]
DIST = ROOT / "dist"


def main() -> None:
    """Do what the one argument says: `version` or `dist`."""
    try:
        {"version": lambda: write_everywhere(ROOT), "dist": dist}[sys.argv[1]]()
    except ValueError as error:
        sys.exit(f"release: {error}")


def dist() -> None:
    """Build what HEAD holds into dist/, try all of it, and tag HEAD if the changelog says that the version is ready."""
    version = version_of(ROOT)
    stage = stage_of(version, (ROOT / "CHANGELOG.md").read_text())
    if stale := stale_places(ROOT):
        raise ValueError(f"{', '.join(stale)}: another version than {version}. Run make version, and commit.")
    if run(["git", "status", "--porcelain"], ROOT):
        raise ValueError("There are changes that are not committed, and a release is made of a commit.")
    commit = run(["git", "rev-parse", "HEAD"], ROOT).strip()
    tags = [f"v{version}", f"clients/go/v{version}"]
    if stage is Stage.READY:
        _check_tags(tags, commit)
    with tempfile.TemporaryDirectory(prefix="authservice-dist-") as folder:
        _build_and_try(Path(folder), commit, version)
    print(*(f"dist/{path.name}" for path in sorted(DIST.iterdir())), sep="\n")
    if stage is Stage.WRITTEN:
        print(f"{version} is not tagged: {stage.value}.")
        return
    for tag in tags:
        run(["git", "tag", "--force", "--annotate", "--message", f"authservice {version}", tag, commit], ROOT)
    print(f"{version} is tagged. git push origin {' '.join(tags)}")


def _build_and_try(folder: Path, commit: str, version: str) -> None:
    source = folder / "source"
    sources = subprocess.run(["git", "archive", commit], cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout
    with tarfile.open(fileobj=BytesIO(sources)) as archive:
        archive.extractall(source, filter="data")
    DIST.mkdir(exist_ok=True)
    for path in DIST.iterdir():
        path.unlink()
    wheel, sdist = build_python(source, DIST, "wheel", "sdist")
    build_protos(source, DIST, version)
    go, npm = build_go(source, DIST, version), build_typescript(source, DIST)
    try_sdist(sdist, wheel, _empty(folder, "sdist"))
    try_client(wheel, source, _empty(folder, "client"))
    try_server(wheel, source, _empty(folder, "server"))
    try_npm(npm, _empty(folder, "npm"))
    try_go_archive(go, source, _empty(folder, "go"))
    try_go_tag(ROOT, commit, version, source, _empty(folder, "tag"))


def _empty(folder: Path, name: str) -> Path:
    print(f"trying: {name}", flush=True)
    (folder / name).mkdir()
    return folder / name


def _check_tags(tags: list[str], commit: str) -> None:
    for tag in tags:
        if run(["git", "tag", "--list", tag], ROOT) and run(["git", "rev-list", "-n1", tag], ROOT).strip() != commit:
            raise ValueError(f"The tag {tag} is on another commit. A version is released once: raise it.")


if __name__ == "__main__":
    main()
