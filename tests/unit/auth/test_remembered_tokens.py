"""What a server remembers of tokens takes little memory, for there are many."""

import gc
import tracemalloc
from uuid import uuid4

from authservice.transport.servicers.together import Answers
from tests.unit.desk import Desk
from tests.unit.forgery import NOW, claims_with, forger

TOKENS = 500
MOST_BYTES = 1100
"""Of each: 1,024, and a share of what is kept of the last texts, which is bounded."""


def test_a_remembered_token_takes_about_a_kilobyte() -> None:
    maker = forger("ES256")
    desk = Desk(maker)
    made = [maker.token(claims_with(sub=f'"{uuid4()}"', sid=f'"{uuid4()}"')).encode() for _ in range(TOKENS)]
    answers = Answers()
    tracemalloc.start()
    try:
        for token in made:
            answers.about(desk.read(token.decode(), NOW))
        desk.tokens._read_once._recent.clear()
        gc.collect()
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken / TOKENS <= MOST_BYTES
