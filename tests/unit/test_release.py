"""A release: one version everywhere, a changelog that agrees, and parts that hold what they should."""

import shutil
import tarfile
from pathlib import Path

import pytest

from release.building import build_go, build_protos
from release.changelog import Stage, stage_of
from release.version import PLACES, stale_places, version_of, write_everywhere

ROOT = Path(__file__).parents[2]
WRITTEN = "# Changelog\n\n## [Unreleased]\n\n- new\n\n## [0.1.0] - 2026-01-31\n\n- first\n"
READY = "# Changelog\n\n## [Unreleased]\n\n## [0.2.0] - 2026-02-28\n\n- new\n\n## [0.1.0] - 2026-01-31\n"


def test_the_version_is_the_same_everywhere_and_the_changelog_agrees() -> None:
    assert stale_places(ROOT) == []
    assert stage_of(version_of(ROOT), (ROOT / "CHANGELOG.md").read_text()) in Stage


def test_a_new_version_is_written_wherever_it_stands(tmp_path: Path) -> None:
    for name in ["pyproject.toml", *PLACES]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    project = tmp_path / "pyproject.toml"
    project.write_text(project.read_text().replace(f'version = "{version_of(ROOT)}"', 'version = "12.34.56"'))
    assert stale_places(tmp_path) == list(PLACES)
    write_everywhere(tmp_path)
    assert stale_places(tmp_path) == []
    assert [(tmp_path / name).read_text().count("12.34.56") for name in PLACES] == [1, 2, 1, 1]


def test_a_version_is_ready_with_its_heading_and_nothing_unreleased() -> None:
    assert stage_of("0.2.0", WRITTEN) is Stage.WRITTEN
    assert stage_of("0.2.0", READY) is Stage.READY
    assert stage_of("0.10.0", READY) is Stage.WRITTEN


@pytest.mark.parametrize(
    ("version", "changelog", "advice"),
    [
        ("0.1.0", WRITTEN, "Raise it in pyproject.toml"),
        ("0.1.0", READY, "is at 0.2.0 already"),
        ("0.2.0", READY.replace(" - 2026-02-28", ""), "has no date"),
        ("0.2.0", READY.replace("## [Unreleased]\n", ""), "has to be ## [Unreleased]"),
    ],
)
def test_a_changelog_that_contradicts_the_version_is_refused(version: str, changelog: str, advice: str) -> None:
    with pytest.raises(ValueError, match=advice.replace("[", r"\[")):
        stage_of(version, changelog)


def test_the_go_module_and_the_contract_are_handed_out_whole_with_their_licence(tmp_path: Path) -> None:
    go, protos = build_go(ROOT, tmp_path, "1.2.3"), build_protos(ROOT, tmp_path, "1.2.3")
    with tarfile.open(go) as module, tarfile.open(protos) as contract:
        assert {f"authservice-client-go-1.2.3/{name}" for name in ("go.mod", "LICENSE", "authclient/guard.go")} <= {
            *module.getnames()
        }
        assert {
            "authservice-protos-1.2.3/LICENSE",
            *(
                f"authservice-protos-1.2.3/{path.relative_to(ROOT / 'protos')}"
                for path in (ROOT / "protos").rglob("*.proto")
            ),
        } <= {*contract.getnames()}
