"""Base64url has one spelling."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authservice.security import base64url


@given(st.binary(max_size=80))
def test_what_is_encoded_is_decoded(raw: bytes) -> None:
    assert base64url.decode(base64url.encode(raw)) == raw


@pytest.mark.parametrize(
    "text", ["AA==", "AAA=", "AB", "A", "A+", "A/", "A A", "AA\n", "\u00e4\u00e4", "AA.A", "=", " "]
)
def test_no_other_spelling_is(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # a subclass of it will do
        base64url.decode(text)
