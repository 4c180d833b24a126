"""A walk over the contract: what a new RPC needs and nothing else would miss."""

import re

import pytest
from authclient._judging.rules import Rule, rule_of
from google.protobuf.descriptor import MethodDescriptor

from authservice.transport.methods import METHODS
from tests.contract import ALL, OPEN, ROOT, SECRET, SERVED, fields, is_text, path_of

STUBS = {
    "Python": (ROOT / "clients/python/authapi/v1", "*_pb2_grpc.py", "'/{service}/{method}'", "make generate"),
    "Go": (ROOT / "clients/go/authapi/v1", "*_grpc.pb.go", '"/{service}/{method}"', "make generate"),
    "TypeScript": (
        ROOT / "clients/typescript/src/gen/authapi/v1",
        "*.ts",
        "@generated from rpc {service}.{method}\n",
        "make generate",
    ),
}
each_that_is_served = pytest.mark.parametrize("method", SERVED, ids=lambda method: method.name)
each = pytest.mark.parametrize("method", ALL, ids=lambda method: method.name)


@each_that_is_served
def test_it_says_who_may_call_it(method: MethodDescriptor) -> None:
    assert isinstance(rule_of(method.GetOptions()), Rule)


@each_that_is_served
def test_it_has_a_row(method: MethodDescriptor) -> None:
    assert path_of(method) in METHODS


@each
def test_each_text_in_it_is_known_to_be_a_secret_or_none(method: MethodDescriptor) -> None:
    texts = {
        field for message in (method.input_type, method.output_type) for field in fields(message) if is_text(field)
    }
    unknown = {field.full_name for field in texts if (field.name in SECRET) == (field.name in OPEN)}
    assert not unknown, "name it in SECRET or in OPEN of tests/contract.py"


@each
def test_a_page_speaks_of_it(method: MethodDescriptor) -> None:
    pages = "".join(page.read_text() for page in (ROOT / "docs").glob("*.md"))
    assert re.search(rf"\b{method.name}\b", pages), f"no page under docs/ speaks of {method.name}"


def test_the_page_of_accounts_begins_with_what_every_call_of_theirs_is_for() -> None:
    page = (ROOT / "docs" / "accounts.md").read_text()
    table = page[page.index("| somebody wants to |") : page.index("\n## ")]
    named = set(re.findall(r"`([A-Z]\w+)`", table))
    served = {method.name for method in SERVED if method.containing_service.name == "AccountService"}
    assert served - named == set()
    assert named - {method.name for method in SERVED} == set()


@each
@pytest.mark.parametrize("language", STUBS)
def test_the_stubs_of_each_language_have_it(language: str, method: MethodDescriptor) -> None:
    folder, pattern, spelling, script = STUBS[language]
    text = "".join(path.read_text() for path in sorted(folder.glob(pattern)))
    wanted = spelling.format(service=method.containing_service.full_name, method=method.name)
    assert wanted in text, f"run {script}"
