"""What a server remembers of the tokens that it has read."""

import tracemalloc
import uuid

import pytest

from authservice.domain.errors import TokenInvalid
from tests.unit.desk import Desk
from tests.unit.forgery import NOW, claims_with, forger

TOKENS = 500
MOST_BYTES = 1500
"""The text of a token is some 600 of them."""


def test_a_remembered_token_costs_little_more_than_its_text() -> None:
    key = forger("HS256")
    desk = Desk(key)
    texts = [key.token(claims_with(sid=f'"{uuid.uuid4()}"')) for _ in range(TOKENS)]
    desk.read(key.token(claims_with()))
    tracemalloc.start()
    for text in texts:
        # A call brings a text of its own, which the memory keeps.
        desk.read(text.encode().decode())
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held / TOKENS <= MOST_BYTES


def test_a_remembered_token_is_refused_once_its_key_is_gone_or_another() -> None:
    key = forger("ES256")
    desk = Desk(key)
    token = key.token(claims_with())
    desk.read(token, NOW)
    known = desk.keys.by_kid.pop(key.kid)
    with pytest.raises(TokenInvalid):
        desk.read(token, NOW)
    desk.keys.by_kid[key.kid] = known
    desk.read(token, NOW)
