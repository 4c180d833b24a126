"""A walk over the contract: what a new RPC needs and nothing else would miss."""

import re
from pathlib import Path

import pytest
from authapi.v1 import auth_service_pb2, stream_service_pb2, trust_service_pb2
from authclient._judging.rules import Rule, rule_of
from google.protobuf.descriptor import MethodDescriptor

from authservice.transport.methods import METHODS

ROOT = Path(__file__).parents[2]
FILES = (auth_service_pb2.DESCRIPTOR, trust_service_pb2.DESCRIPTOR)
STUBS = {
    "Go": (ROOT / "clients/go/authapi/v1", "*_grpc.pb.go", '"/{service}/{method}"', "clients/go/generate.sh"),
    "TypeScript": (
        ROOT / "clients/typescript/src/gen/authapi/v1",
        "*.ts",
        "@generated from rpc {service}.{method}\n",
        "clients/typescript/generate.sh",
    ),
}
SERVED = [method for file in FILES for service in file.services_by_name.values() for method in service.methods]
# StreamService is not served here: every guarded service has its own.
ALL = [*SERVED, *stream_service_pb2.DESCRIPTOR.services_by_name["StreamService"].methods]

each_that_is_served = pytest.mark.parametrize("method", SERVED, ids=lambda method: method.name)
each = pytest.mark.parametrize("method", ALL, ids=lambda method: method.name)


def test_the_walk_passes_every_file_of_the_contract_that_has_a_service() -> None:
    files = {path.name for path in (ROOT / "protos/authapi/v1").glob("*.proto") if "\nservice " in path.read_text()}
    walked = {Path(file.name).name for file in (*FILES, stream_service_pb2.DESCRIPTOR)}
    assert walked == files, "a new file belongs into FILES above"


@each_that_is_served
def test_it_says_who_may_call_it(method: MethodDescriptor) -> None:
    assert isinstance(rule_of(method.GetOptions()), Rule)


@each_that_is_served
def test_it_has_a_row(method: MethodDescriptor) -> None:
    assert f"/{method.containing_service.full_name}/{method.name}" in METHODS


@each
def test_a_page_speaks_of_it(method: MethodDescriptor) -> None:
    pages = "".join(page.read_text() for page in (ROOT / "docs").glob("*.md"))
    assert re.search(rf"\b{method.name}\b", pages), f"no page under docs/ speaks of {method.name}"


@each
@pytest.mark.parametrize("language", STUBS)
def test_the_stubs_of_the_other_languages_have_it(language: str, method: MethodDescriptor) -> None:
    folder, pattern, spelling, script = STUBS[language]
    text = "".join(path.read_text() for path in sorted(folder.glob(pattern)))
    wanted = spelling.format(service=method.containing_service.full_name, method=method.name)
    assert wanted in text, f"run {script}"
