"""What callers say about themselves gives them no identity."""

from typing import Any

import grpc
import pytest
from authapi.v1.rule_pb2 import Rule
from authclient import Trust

from tests.clients.guarded import KINDS, PUBLIC, SIGNED_IN, UNAUTHENTICATED, Guarded
from tests.clients.noted import Noted
from tests.clients.scripted import bearer, token, uuid

FORGED = [
    "x-user", "x-user-id", "x-user-roles", "x-user-id-bin", "x-auth-user", "x-auth-request-email",
    "x-authenticated-user", "x-authenticated-groups", "x-forwarded-user", "x-forwarded-email", "x-forwarded-groups",
    "x-forwarded-preferred-username", "x-remote-user", "remote-user", "x-role", "x-roles", "x-identity-claims",
    "x-identity-", "authclient-user", "authclient-stream", "authclient-identity-bin", "x_user", "x_user_id",
    "x-userid", "x-username", "x-userinfo", "x-email", "x-groups", "x-subject", "x-consumer-id",
    "x-consumer-custom-id", "x-credential-identifier", "x-jwt-payload", "x-forwarded-client-cert",
    "x-goog-authenticated-user-email", "x-endpoint-api-userinfo", "x-amzn-oidc-data", "x-amzn-oidc-identity",
    "x-ms-client-principal", "x-ms-client-principal-id", "x-jwt-claim-bin",
]  # fmt: skip
HARMLESS = [
    "x-request-id", "x-users", "x-usernames", "x-emails", "x-jwt", "x-consumer", "x-amzn-trace-id",
    "x-rolex", "x-forwarded-for", "x-forwarded-users", "user", "traceparent",
    "my-x-user", "authclientx", "remote-users", "x-remote-users", "a-bin",
]  # fmt: skip


def entries(names: list[str]) -> tuple[tuple[str, Any], ...]:
    return tuple((name, b"forged" if name.endswith("-bin") else "forged") for name in names)


@pytest.mark.parametrize(
    "rule", [SIGNED_IN, PUBLIC, Rule(authenticated=True, observe=True)], ids=["", "public", "observe"]
)
def test_a8_forged_entries_do_not_reach_a_handler_and_others_do(trust: Trust, noted: Noted, rule: Rule) -> None:
    metadata = (*entries(FORGED), *entries(HARMLESS), *bearer(token()), ("x-user", "twice"))
    with Guarded(trust, noted.by_kind, dict.fromkeys(noted.by_kind, rule)) as shop:
        for kind in KINDS:
            assert shop.call(kind, metadata=metadata).code is grpc.StatusCode.OK
    for seen in noted.metadata:
        assert set(FORGED) & set(seen) == set()
        assert set(HARMLESS) <= set(seen)
        assert "authorization" in seen
    assert len(noted.metadata) == 4


def header_variants(good: str) -> dict[str, tuple[tuple[str, Any], ...]]:
    """Return metadata that must not make anybody somebody."""
    other = token(sub=uuid(1), sid=uuid(2))
    plain = ("authorization", f"Bearer {good}")
    values = [
        "", " ", "Bearer", "Bearer ", f"Bearer  {good}", f"Bearer-{good}", good, f"Basic {good}", f"Token {good}",
        f"Bearer {good},", f"Bearer {good}, Bearer {good}", f"Bearer {good} {good}", f"Bearer,{good}", f"Bearer={good}",
        f"Bearer {good}.", f"Bearer .{good}", f"Bearer {good[:-1]}", f'Bearer "{good}"', f"Bearer {good}=",
        f"Bearer Bearer {good}", f"DPoP {good}", f"Bearer: {good}", f"Bear {good}", f"Bearer {good.upper()}",
        f"Bearer {good}%00", "Bearer null", "Bearer undefined", "Bearer none", f"Bearer {good};{other}",
    ]  # fmt: skip
    found: dict[str, tuple[tuple[str, Any], ...]] = {value: (("authorization", value),) for value in values}
    names = (
        "proxy-authorization", "x-authorization", "x-forwarded-authorization", "authorization-bin",
        "grpcgateway-authorization",
        "cookie", "x-access-token", "authentication", "authorizatio", "authorization-", "x-user", "x-auth-token",
    )  # fmt: skip
    for name in names:
        value: Any = f"Bearer {good}"
        found[name] = ((name, value.encode() if name.endswith("-bin") else value),)
    found["the same twice"] = plain, plain
    found["two users"] = plain, ("authorization", f"Bearer {other}")
    found["a bad one first"] = ("authorization", "Bearer x"), plain
    found["a bad one last"] = plain, ("authorization", "Bearer x")
    found["an empty one"] = plain, ("authorization", "")
    found["a basic one"] = plain, ("authorization", "Basic eA==")
    return found


def test_a8_no_variant_of_the_header_gives_an_identity(shop: Guarded, noted: Noted) -> None:
    variants = header_variants(token())
    assert len(variants) >= 40
    for number, (name, metadata) in enumerate(variants.items()):
        found = shop.call(KINDS[number % 4], metadata=metadata)
        assert found.code is UNAUTHENTICATED, name
        assert found.reason in {"TOKEN_INVALID", "TOKEN_MISSING"}, name
    assert noted.callers == []


def test_an_entry_without_a_token_is_none(shop: Guarded) -> None:
    for value in ("", " ", "Bearer", "bearer", "Bearer ", "Bearer  ", " Bearer"):
        found = shop.call("unary_unary", metadata=(("authorization", value),))
        assert (found.code, found.reason) == (UNAUTHENTICATED, "TOKEN_MISSING"), value


def test_the_scheme_may_be_written_in_any_case(shop: Guarded, noted: Noted) -> None:
    for scheme in ("bearer", "BEARER", "bEaReR"):
        assert shop.call("unary_unary", metadata=(("authorization", f"{scheme} {token()}"),)).code is grpc.StatusCode.OK
