"""A Trust refuses settings that make no sense, and says what to write."""

import secrets
from typing import Any

import pytest
from authclient import Trust

NAN = float("nan")


def made(**options: Any) -> Trust:
    return Trust(options.pop("address", "127.0.0.1:1"), **({"audience": "internal"} | options))


@pytest.mark.parametrize("name", ["max_staleness", "max_key_age", "patience"])
@pytest.mark.parametrize("seconds", [-1, -0.001, NAN])
def test_a_time_is_not_negative(name: str, seconds: float) -> None:
    with pytest.raises(ValueError, match=f"{name} is {seconds}; write zero or more seconds"):
        made(**{name: seconds})


@pytest.mark.parametrize("name", ["max_staleness", "max_key_age", "patience"])
@pytest.mark.parametrize("seconds", ["10", None, True, [10]])
def test_a_time_is_a_number(name: str, seconds: object) -> None:
    with pytest.raises(TypeError, match=f"{name} is .*; write a number of seconds, such as 10.0"):
        made(**{name: seconds})


@pytest.mark.parametrize("name", ["audience", "issuer"])
@pytest.mark.parametrize("value", [["internal"], ("internal",), b"internal", None, 1])
def test_audience_and_issuer_are_one_text_each(name: str, value: object) -> None:
    with pytest.raises(TypeError, match=f'{name} is .*; write one text, such as {name}="'):
        made(**{name: value})


def test_a_shared_secret_is_bytes_and_is_not_shown() -> None:
    with pytest.raises(ValueError, match=r"the secret is a text; give bytes, such as secret\.encode\(\)") as refused:
        made(shared_secret="sixteen or more of them, and secret")
    assert "sixteen" not in str(refused.value)


@pytest.mark.parametrize(
    ("secret", "weakness"),
    [
        (b"a" * 32, "is one character, repeated"),
        ("é".encode() * 16, "is one character, repeated"),
        (b"\xff" * 40, "is one character, repeated"),
        (b"your-super-secret-jwt-key-change-this-in-production", "is the placeholder of an example"),
        (b"09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7", "is on the public lists"),
    ],
)
def test_a_shared_secret_that_others_know_is_refused_as_the_service_refuses_it(secret: bytes, weakness: str) -> None:
    with pytest.raises(ValueError, match=f"shared_secret {weakness}.*openssl rand -base64 48") as refused:
        made(shared_secret=secret)
    assert secret not in str(refused.value).encode()


def test_a_shared_secret_may_be_of_any_bytes() -> None:
    for secret in (secrets.token_bytes(32), secrets.token_urlsafe(48).encode()):
        made(shared_secret=secret).close()


def test_a_setting_that_is_refused_leaves_nothing_running() -> None:
    with pytest.raises(TypeError):  # The fixture of all these tests looks for threads.
        made(credentials="ca.pem")
