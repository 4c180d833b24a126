"""Two tables from reasons to statuses, the server's and the interceptor's: complete, in accord, documented.

And every RPC says who may call it.
"""

import inspect
import re
from collections.abc import Iterator

import grpc
import pytest
from authapi.v1.error_reason_pb2 import ErrorReason
from authclient import Policy, reason_of
from authclient import Refused as RefusedByInterceptor
from authclient._wire import refusals
from authclient._wire.metadata import bearer_token
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from authservice.domain import errors
from authservice.domain.errors import AuthError
from authservice.transport import caller
from authservice.transport.statuses import DOMAIN, STATUSES, final_status, internal_status, status_of
from tests.contract import ALL, FILES, ROOT

PROTOS = sorted((ROOT / "protos/authapi/v1").glob("*.proto"))
INTERNAL = ErrorReason.ERROR_REASON_INTERNAL
REASONS = [name for name in ErrorReason.keys() if name != "ERROR_REASON_UNSPECIFIED"]  # noqa: SIM118  # no mapping
BY_CONDITION = {ErrorReason.Name(row): code for code, row in STATUSES.values()}
BY_INTERCEPTOR = {f"ERROR_REASON_{reason}": code for reason, (code, _) in refusals._REASONS.items()}
CODES = {**BY_CONDITION, **BY_INTERCEPTOR, "ERROR_REASON_INTERNAL": grpc.StatusCode.INTERNAL}


def leaves(kind: type[AuthError] = AuthError) -> Iterator[type[AuthError]]:
    """Yield the conditions that are raised, not those that only gather others."""
    below = kind.__subclasses__()
    if not below:
        yield kind
    for each in below:
        yield from leaves(each)


def example(kind: type[AuthError]) -> AuthError:
    """Return an instance of a condition."""
    wanted = inspect.signature(kind).parameters
    values = {"retry_after": 1.5, "size": 1100, "budget": 1024}
    return kind(**{name: values[name] for name in wanted if name in values})


def details_of(status: Status) -> tuple[ErrorInfo, list[str]]:
    info = ErrorInfo()
    assert status.details[0].Unpack(info)
    return info, [detail.type_url.rpartition(".")[2] for detail in status.details]


def comments() -> dict[str, str]:
    """Return the comment above each RPC, by its name."""
    found = {}
    for proto in PROTOS:
        for match in re.finditer(r"((?:^ *//.*\n)+) *rpc (\w+)\(", proto.read_text(), re.MULTILINE):
            found[match[2]] = re.sub(r"\s*//\s?", " ", match[1]).strip()
    return found


def test_every_condition_that_is_raised_has_one_row_and_no_other_has() -> None:
    assert set(STATUSES) == set(leaves())
    assert {errors.TokenRejected, errors.Unavailable}.isdisjoint(STATUSES)


def test_no_two_conditions_share_a_reason() -> None:
    assert len(BY_CONDITION) == len(STATUSES)
    assert INTERNAL not in [reason for _, reason in STATUSES.values()]


def test_every_reason_is_answered_by_somebody_and_none_is_made_up() -> None:
    assert sorted(CODES) == sorted(REASONS)


def test_where_server_and_interceptor_give_a_reason_they_give_it_alike() -> None:
    both = BY_CONDITION.keys() & BY_INTERCEPTOR.keys()
    assert len(both) >= 7, "all that Verify and an interceptor can say about a token"
    assert {reason: BY_CONDITION[reason] for reason in both} == {reason: BY_INTERCEPTOR[reason] for reason in both}


def test_no_row_says_unknown_or_internal_or_ok() -> None:
    never = {grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL, grpc.StatusCode.OK}
    assert never.isdisjoint([*BY_CONDITION.values(), *BY_INTERCEPTOR.values()])


@pytest.mark.parametrize("kind", list(leaves()), ids=lambda kind: kind.__name__)
def test_every_condition_is_told_with_its_code_its_reason_and_what_to_do(kind: type[AuthError]) -> None:
    status = status_of(example(kind))
    code, reason = STATUSES[kind]
    info, kinds = details_of(status)
    assert status.code == code.value[0]
    assert f"ERROR_REASON_{info.reason}" == ErrorReason.Name(reason)
    assert info.domain == DOMAIN == "authservice"
    assert not info.metadata
    assert status.message.endswith(".")
    assert ("RetryInfo" in kinds) == issubclass(kind, errors.Unavailable)
    assert ("BadRequest" in kinds) == (kind is errors.InvalidInput)


@pytest.mark.parametrize("reason", REASONS)
def test_the_contract_names_the_status_that_each_reason_comes_with(reason: str) -> None:
    text = (ROOT / "protos/authapi/v1/error_reason.proto").read_text()
    comment = re.search(rf"((?:^ *//.*\n)+) *{reason} = ", text, re.MULTILINE)
    assert comment
    assert re.search(rf"Status\s+(//\s+)?{CODES[reason].name}\b", comment[1])


@pytest.mark.parametrize("reason", BY_INTERCEPTOR)
def test_the_interceptor_tells_a_reason_with_its_code_and_when_to_try_again(reason: str) -> None:
    refused = RefusedByInterceptor(reason.removeprefix("ERROR_REASON_"))
    ((key, value),) = refused.trailing_metadata
    status = Status.FromString(value)
    info, kinds = details_of(status)
    assert key == "grpc-status-details-bin"
    assert (status.code, status.message) == (refused.code.value[0], refused.details)
    assert (info.reason, info.domain, dict(info.metadata)) == (refused.reason, DOMAIN, {})
    assert ("RetryInfo" in kinds) == (refused.code is grpc.StatusCode.UNAVAILABLE)


def test_all_refusals_of_a_token_have_one_text_here_and_at_the_services() -> None:
    kinds = [kind for kind in leaves() if issubclass(kind, errors.TokenRejected)]
    assert len(kinds) >= 7
    kinds.remove(errors.TokenMissing)
    texts = {status_of(example(kind)).message for kind in kinds}
    # Who sends no token learns how to send one; what is wrong with a token is nobody's business.
    told = {
        reason: text for reason, (code, text) in refusals._REASONS.items() if code is grpc.StatusCode.UNAUTHENTICATED
    }
    del told["TOKEN_MISSING"]
    texts |= set(told.values())
    assert len(texts) == 1


def test_an_entry_that_is_not_one_bearer_token_is_refused_in_the_same_words_here_and_at_the_services() -> None:
    for entries in (["a.b.c"], ["Basic a.b.c"], ["Bearer", "Bearer a.b.c"], ["Bearer a.b.c"] * 2):
        metadata = [("authorization", entry) for entry in entries]
        with pytest.raises(errors.TokenInvalid) as here:
            caller.bearer_token(metadata)
        with pytest.raises(RefusedByInterceptor) as there:
            bearer_token(metadata)
        status = final_status(here.value)
        assert (status.code, status.details) == (there.value.code, there.value.details)
        assert 'one entry "authorization: Bearer <token>"' in status.details
        assert there.value.reason == reason_of(status.trailing_metadata) == "TOKEN_INVALID"


@pytest.mark.parametrize("entry", ["", " ", "Bearer", "bearer ", "Bearer \t "])
def test_an_entry_without_a_token_is_none_here_and_at_the_services(entry: str) -> None:
    metadata = [("authorization", entry)]
    assert caller.bearer_token(metadata) == ""
    with pytest.raises(RefusedByInterceptor) as there:
        bearer_token(metadata)
    assert there.value.reason == "TOKEN_MISSING"


def test_a_violation_names_field_and_reason() -> None:
    status = status_of(errors.InvalidInput(errors.Violation("user_name", "is required"), errors.Violation("", "bytes")))
    request = BadRequest()
    assert status.details[1].Unpack(request)
    seen = [(violation.field, violation.description) for violation in request.field_violations]
    assert seen == [("user_name", "is required"), ("", "bytes")]


@pytest.mark.parametrize("seconds", [0.0, 0.001, 1.5, 3600.0])
def test_a_time_to_wait_arrives_to_the_millisecond(seconds: float) -> None:
    for error in (errors.Overloaded(seconds), errors.StorageUnavailable(seconds)):
        info = RetryInfo()
        assert status_of(error).details[1].Unpack(info)
        assert info.retry_delay.ToMilliseconds() == round(seconds * 1000)


def test_callers_that_the_database_has_failed_do_not_all_come_back_at_once() -> None:
    waits = {errors.StorageUnavailable().retry_after for _ in range(100)}
    assert len(waits) > 50
    assert 0.5 <= min(waits) <= max(waits) <= 1.0


def test_l2_anything_unforeseen_tells_a_request_id_and_nothing_else() -> None:
    status = internal_status("0123abcd")
    info, kinds = details_of(status)
    assert status.code == grpc.StatusCode.INTERNAL.value[0]
    assert (info.reason, dict(info.metadata)) == ("INTERNAL", {"request_id": "0123abcd"})
    assert kinds == ["ErrorInfo"]
    assert "0123abcd" in status.message


def test_every_reason_is_explained_in_the_documentation() -> None:
    text = (ROOT / "docs/errors.md").read_text()
    rows = re.findall(r"^\| `([A-Z_]+)` \| ([A-Z_]+) \|", text, re.MULTILINE)
    assert dict(rows) == {reason.removeprefix("ERROR_REASON_"): CODES[reason].name for reason in REASONS}
    assert len(rows) == len(REASONS)


def test_a1_every_rpc_has_a_rule() -> None:
    policy = Policy(*FILES)
    assert len(policy.rules) >= 8
    assert policy.rejected == {}


def test_a1_a_method_without_existence_has_no_rule() -> None:
    odd = ["/grpc.health.v1.Health/Check", "/authapi.v1.AuthService/Nothing", "/authapi.v1.Nothing/Verify"]
    odd += [
        "",
        "/",
        "//",
        "authapi.v1.AuthService",
        "/authapi.v1.AuthService/verify",
        "/authapi.v1.AuthService/Verify/",
    ]
    odd += ["//authapi.v1.AuthService/Verify", "/authapi.v1.AuthService//Verify", "/authapi.v1.AuthService/Verify?x"]
    assert [name for name in odd if Policy(*FILES).rule(name)] == []


def test_every_rpc_says_in_the_contract_who_may_call_it() -> None:
    said = comments()
    assert set(said) == {method.name for method in ALL}
    who = re.compile(r"(?:^|\. )\W*(Anyone|Callers|The caller|The user who|Only|Any )")
    assert [name for name, comment in said.items() if not who.search(comment)] == []


def test_every_reason_is_announced_by_an_rpc_a_rule_or_for_all_and_none_is_made_up() -> None:
    common = {
        "INTERNAL",
        "INVALID_INPUT",
        "STORAGE_UNAVAILABLE",
        "CONFLICT",
        "OVERLOADED",
        "DEADLINE_TOO_SHORT",
        "REQUEST_MISSING",
        "SHUTTING_DOWN",
        "METHOD_WITHOUT_RULE",
        # Of every service that checks tokens by itself; see docs/local-verification.md.
        "VERIFICATION_UNAVAILABLE",
    }
    rules = (ROOT / "protos/authapi/v1/rule.proto").read_text()
    by_rules = {name for name in ("ROLE_MISSING", "MFA_REQUIRED", "AUTHENTICATION_TOO_OLD") if name in rules}
    announced = common | by_rules
    for name, comment in comments().items():
        reasons = re.search(r"Reasons: ([^.]+)\.", comment)
        assert reasons, name
        announced |= set(re.findall(r"\b[A-Z]+_[A-Z_]+\b|\b(?:OVERLOADED|THROTTLED)\b", reasons[1]))
    assert announced == {reason.removeprefix("ERROR_REASON_") for reason in REASONS}
