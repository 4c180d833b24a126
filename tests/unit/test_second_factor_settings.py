"""Who has to have a second factor, as the setting says it."""

import pytest
from pydantic import ValidationError

from authservice.config import Settings
from authservice.domain.second_factor import SecondFactorPolicy, with_second_factor


@pytest.mark.parametrize(
    ("text", "roles"),
    [("off", set()), ("everybody", set()), ("roles:clerk", {"clerk"}), ("roles:a,b.c-d_1", {"a", "b.c-d_1"})],
)
def test_a_policy_is_nobody_everybody_or_roles(text: str, roles: set[str]) -> None:
    assert Settings(require_second_factor=text).roles_with_second_factor() == roles  # type: ignore[call-arg]


@pytest.mark.parametrize("text", ["", "on", "Everybody", "roles:", "roles:a,", "roles:A", "roles: a", "a,b", "off "])
def test_anything_else_stops_the_start_and_says_what_is_meant(text: str) -> None:
    with pytest.raises(ValidationError, match="must be off, everybody, or roles:"):
        Settings(require_second_factor=text)  # type: ignore[call-arg]


def test_a_policy_asks_whom_it_names() -> None:
    assert not SecondFactorPolicy().asks(("clerk",))
    assert SecondFactorPolicy(everybody=True).asks(())
    by_role = SecondFactorPolicy(roles=frozenset({"clerk", "boss"}))
    assert [by_role.asks(roles) for roles in ((), ("other",), ("boss", "other"))] == [False, False, True]


def test_m7_what_proves_a_user_adds_up_and_ends_with_mfa() -> None:
    assert with_second_factor(("pwd",), ("otp",)) == ("pwd", "otp", "mfa")
    assert with_second_factor(("pwd",), ()) == ("pwd", "mfa")
    assert with_second_factor(("pwd", "mfa"), ("otp",)) == ("pwd", "otp", "mfa")
    assert with_second_factor(("pwd", "otp", "mfa"), ()) == ("pwd", "otp", "mfa")
