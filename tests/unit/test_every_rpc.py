"""A walk over the contract: what a new RPC needs and nothing else would miss."""

import re

import pytest
from authclient._judging.rules import Rule, rule_of
from google.protobuf.descriptor import MethodDescriptor

from authservice.transport.methods import METHODS
from tests.contract import ALL, ROOT, SERVED, fields, is_secret, is_text, path_of

OPEN = {
    "user_id",
    "user_name",
    "user_name_or_email",
    "email",
    "new_email",
    "client_label",
    "session_id",
    "roles",
    "auth_methods",
    "kid",
    "alg",
    "public_key",
    "history",
    "stream_id",
    "network",
}
"""Fields with text that is no secret. All others are marked `debug_redact` in the contract."""
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
def test_each_text_in_it_is_marked_as_a_secret_or_known_to_be_none(method: MethodDescriptor) -> None:
    texts = {
        field for message in (method.input_type, method.output_type) for field in fields(message) if is_text(field)
    }
    unknown = {field.full_name for field in texts if is_secret(field) == (field.name in OPEN)}
    assert not unknown, "mark it `[debug_redact = true]` if it is a secret, or name it in OPEN above"


@each
def test_a_page_speaks_of_it(method: MethodDescriptor) -> None:
    pages = "".join(page.read_text() for page in (ROOT / "docs").glob("*.md"))
    assert re.search(rf"\b{method.name}\b", pages), f"no page under docs/ speaks of {method.name}"


@each
@pytest.mark.parametrize("language", STUBS)
def test_the_stubs_of_each_language_have_it(language: str, method: MethodDescriptor) -> None:
    folder, pattern, spelling, script = STUBS[language]
    text = "".join(path.read_text() for path in sorted(folder.glob(pattern)))
    wanted = spelling.format(service=method.containing_service.full_name, method=method.name)
    assert wanted in text, f"run {script}"
