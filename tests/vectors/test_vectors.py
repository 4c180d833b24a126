"""The file in clients/vectors is the one that this package writes."""

from tests.vectors.__main__ import FILE, REFUSALS
from tests.vectors.writing import collected, refusal_texts, text_of


def test_the_file_is_up_to_date_and_comes_out_the_same_each_time() -> None:
    first, second = text_of(collected()), text_of(collected())
    assert first == second
    assert FILE.read_text(encoding="ascii") == first, "run `python -m tests.vectors`"


def test_the_words_of_refusals_that_other_languages_compare_theirs_with_are_ours() -> None:
    assert REFUSALS.read_text(encoding="ascii") == refusal_texts(), "run `python -m tests.vectors`"
