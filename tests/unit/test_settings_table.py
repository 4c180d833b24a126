"""The table of settings is what the code says, and no page names a setting that is none."""

import re
from pathlib import Path

from pydantic import SecretStr

from authservice.config import Settings
from authservice.config.area import variable_of

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "clients").glob("*/README.md"), ROOT / "Makefile"]
SETTINGS = {variable_of(name, info): info for name, info in Settings.model_fields.items()}
OTHERS = {
    "AUTHSERVICE_SERVICE_HOST": "of Kubernetes, for a Service of that name",
    "DB_HOSTNAME": "an example of a mistake",
    "AUTHSERVICE_SUPERVISOR_NOTE": "from a parent to the one that takes its place",
    "_AUTHSERVICE_COMPLETE": "of click",
}
"""Variables that begin as ours do and are none, with whose they are."""


def row(variable: str) -> str:
    """Return the row of the table."""
    info = SETTINGS[variable]
    default = "—" if info.default is None else f"`{info.default}`"
    return f"| `{variable}` | {default} | {info.description} |"


def test_the_table_is_what_the_code_says() -> None:
    page = (ROOT / "docs/operations.md").read_text()
    (table,) = re.findall(
        r"^\| variable \| default \| meaning \|\n\| --- \| --- \| --- \|\n((?:\|.*\n)+)", page, re.MULTILINE
    )
    shown, real = set(table.splitlines()), set(map(row, SETTINGS))
    assert not (real - shown), "missing from the table of docs/operations.md:\n" + "\n".join(sorted(real - shown))
    assert not (shown - real), "no setting, or another one:\n" + "\n".join(sorted(shown - real))


def test_whatever_is_named_as_a_setting_is_one() -> None:
    known = SETTINGS.keys() | OTHERS.keys()
    strange = {
        (str(path.relative_to(ROOT)), name)
        for path in (*PAGES, *(ROOT / "authservice").rglob("*.py"))
        for name in re.findall(r"\b_?(?:AUTHSERVICE|DB|JWT)_[A-Z_]*[A-Z]\b", path.read_text())
        if name not in known and not name.startswith("AUTHSERVICE_TEST_")
    }
    assert not strange


def test_whatever_is_named_for_tests_is_read_by_one() -> None:
    pattern = re.compile(r"\bAUTHSERVICE_TEST_[A-Z_]*[A-Z]\b")
    read = {name for path in (ROOT / "tests").rglob("*.py") for name in pattern.findall(path.read_text())}
    named = {name for path in PAGES for name in pattern.findall(path.read_text())}
    assert named <= read


def test_no_default_is_a_secret() -> None:
    secret = [name for name, info in SETTINGS.items() if SecretStr in getattr(info.annotation, "__args__", ())]
    assert len(secret) >= 4
    assert not [name for name in secret if SETTINGS[name].default is not None]
