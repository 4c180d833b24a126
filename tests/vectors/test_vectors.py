"""The file in clients/vectors is the one that this package writes."""

from tests.vectors.__main__ import FILE
from tests.vectors.writing import collected, text_of


def test_the_file_is_up_to_date_and_comes_out_the_same_each_time() -> None:
    first, second = text_of(collected()), text_of(collected())
    assert first == second
    assert FILE.read_text(encoding="ascii") == first, "run `python -m tests.vectors`"
