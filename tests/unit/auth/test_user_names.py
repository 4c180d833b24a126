"""Which user names there are, and which of them are the same."""

import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from authservice.domain.errors import FieldRejected
from authservice.security.user_names import PrecisNames

names = PrecisNames()


def canonical(typed: str) -> str:
    return names.read(typed).canonical


def is_refused(typed: str) -> bool:
    try:
        names.read(typed)
    except FieldRejected:
        return True
    return False


@pytest.mark.parametrize(
    "typed", ["ada", "Ada", "a", "7", "ada.lovelace-1815", "o'brien", "a_b", "a+b", "ünïcödé", "Łukasz", "Ἀριστοτέλης"]
)
def test_v1_ordinary_names_are_accepted_and_kept_as_typed(typed: str) -> None:
    assert names.read(typed).typed == typed


@pytest.mark.parametrize(
    "typed", ["Анна", "山田太郎", "やまだ", "ヤマダ", "김철수", "יוסף", "محمد", "นารี", "山田taro", "김kim"]
)
def test_v1_names_in_one_script_or_latin_beside_east_asian_ones_are_accepted(typed: str) -> None:
    assert names.read(typed).typed == typed


TWINS = [
    ("admin", "ADMIN"),
    ("admin", "Admin"),
    ("admin", "ＡＤＭＩＮ"),
    ("admin", "ａｄｍｉｎ"),
    ("admin7", "admin７"),
    ("kelvin", "\N{KELVIN SIGN}elvin"),
    ("\N{LATIN SMALL LETTER A WITH RING ABOVE}sa", "\N{ANGSTROM SIGN}sa"),
    ("\N{LATIN SMALL LETTER E WITH ACUTE}va", "e\N{COMBINING ACUTE ACCENT}va"),
    ("\N{LATIN SMALL LETTER E WITH ACUTE}va", "E\N{COMBINING ACUTE ACCENT}VA"),
    ("łukasz", "ŁUKASZ"),
    ("анна", "АННА"),
    ("\N{KATAKANA LETTER GA}", "\N{HALFWIDTH KATAKANA LETTER KA}\N{HALFWIDTH KATAKANA VOICED SOUND MARK}"),
    ("stra\N{LATIN SMALL LETTER SHARP S}e", "STRA\N{LATIN CAPITAL LETTER SHARP S}E"),
]


@pytest.mark.parametrize(("one", "other"), TWINS)
def test_v2_names_that_differ_in_case_width_or_composition_are_the_same(one: str, other: str) -> None:
    assert one != other
    assert canonical(one) == canonical(other)


STRANGERS = [
    ("admin", "\N{LATIN SMALL LETTER A WITH ACUTE}dmin"),
    ("admin", "adm\N{LATIN SMALL LETTER DOTLESS I}n"),
    ("admin", "admin1"),
    ("admin", "admin-"),
    ("admin", "admin."),
    ("strasse", "stra\N{LATIN SMALL LETTER SHARP S}e"),
    ("oe", "\N{LATIN SMALL LIGATURE OE}"),
    ("0abc", "abc"),
    ("\N{LATIN SMALL LETTER I}\N{COMBINING DOT ABOVE}", "i"),
]


@pytest.mark.parametrize(("one", "other"), STRANGERS)
def test_v2_names_that_only_a_careless_collation_takes_for_one_are_two(one: str, other: str) -> None:
    assert canonical(one) != canonical(other)


MIXED = [
    "\N{CYRILLIC SMALL LETTER A}dmin",
    "adm\N{CYRILLIC SMALL LETTER BYELORUSSIAN-UKRAINIAN I}n",
    "\N{GREEK SMALL LETTER ALPHA}dmin",
    "adm\N{GREEK SMALL LETTER IOTA}n",
    "p\N{CYRILLIC SMALL LETTER A}yp\N{CYRILLIC SMALL LETTER A}l",
    "анна\N{GREEK SMALL LETTER OMICRON}",
    "\N{ARMENIAN SMALL LETTER OH}range",
    "\N{CHEROKEE LETTER A}nna",
    "やまだанна",
    "山田김やま",
]


@pytest.mark.parametrize("typed", MIXED)
def test_v2_a_mix_of_scripts_is_refused_as_a_look_alike(typed: str) -> None:
    with pytest.raises(FieldRejected, match="mixes scripts"):
        names.read(typed)


INVISIBLE = [
    "\N{ZERO WIDTH SPACE}",
    "\N{ZERO WIDTH NON-JOINER}",
    "\N{ZERO WIDTH JOINER}",
    "\N{WORD JOINER}",
    "\N{ZERO WIDTH NO-BREAK SPACE}",
    "\N{SOFT HYPHEN}",
    "\N{COMBINING GRAPHEME JOINER}",
    "\N{HANGUL FILLER}",
    "\N{HALFWIDTH HANGUL FILLER}",
    "\N{MONGOLIAN VOWEL SEPARATOR}",
    "\N{VARIATION SELECTOR-16}",
    "\N{TAG LATIN SMALL LETTER A}",
    "\N{RIGHT-TO-LEFT OVERRIDE}",
    "\N{LEFT-TO-RIGHT OVERRIDE}",
    "\N{RIGHT-TO-LEFT MARK}",
    "\N{FIRST STRONG ISOLATE}",
    "\0",
    "\n",
    "\r",
    "\t",
    "\x1b",
    "\x7f",
    "\x85",
    " ",
    "\N{NO-BREAK SPACE}",
    "\N{IDEOGRAPHIC SPACE}",
    "\N{OGHAM SPACE MARK}",
    "\N{LINE SEPARATOR}",
    "\N{BRAILLE PATTERN BLANK}",
    "\ue000",
    "\ufffe",
    "\U0010ffff",
]


@pytest.mark.parametrize("character", INVISIBLE, ids=lambda character: f"U+{ord(character):04X}")
def test_v1_spaces_controls_and_invisible_characters_are_refused_wherever_they_stand(character: str) -> None:
    for typed in (character, character + "admin", "adm" + character + "in", "admin" + character):
        with pytest.raises(FieldRejected):
            names.read(typed)


@pytest.mark.parametrize("joiner", ["\N{ZERO WIDTH JOINER}", "\N{ZERO WIDTH NON-JOINER}"])
def test_v2_no_zero_width_character_makes_a_second_name_that_looks_the_same(joiner: str) -> None:
    visible = "\N{DEVANAGARI LETTER KA}\N{DEVANAGARI SIGN VIRAMA}"
    assert not is_refused(visible)
    assert is_refused(visible + joiner)


@pytest.mark.parametrize("typed", ["ada@example.com", "@", "ada@", "@ada", "ada＠example.com", "ada﹫example.com"])
def test_v2_no_name_can_be_taken_for_an_e_mail_address(typed: str) -> None:
    with pytest.raises(FieldRejected):
        names.read(typed)


@pytest.mark.parametrize(
    "typed", ["", ".", "-", "___", "'", "\N{COMBINING ACUTE ACCENT}", "😀", "ﬁ", "Ⅷ", "①", "™", "½"]
)
def test_v1_a_name_needs_a_letter_or_a_digit_and_has_no_symbols(typed: str) -> None:
    with pytest.raises(FieldRejected):
        names.read(typed)


def test_v1_a_name_has_at_most_64_code_points() -> None:
    assert names.read("a" * 64).typed == "a" * 64
    with pytest.raises(FieldRejected, match="at most 64 characters"):
        names.read("a" * 65)
    with pytest.raises(FieldRejected, match="at most 64 characters"):
        names.read("a" * 1_000_000)


def test_v1_a_name_has_at_most_128_bytes() -> None:
    assert names.read("é" * 64).typed == "é" * 64
    assert len(("山" * 42 + "ab").encode()) == 128
    assert names.read("山" * 42 + "ab").typed == "山" * 42 + "ab"
    with pytest.raises(FieldRejected, match="at most 128 bytes"):
        names.read("山" * 43)


@pytest.mark.parametrize("typed", ["a\ud800", "\udfff", "ada\udcff"])
def test_v1_half_a_surrogate_pair_is_refused_like_any_other_bad_name(typed: str) -> None:
    # Python hands bytes of the command line that are not UTF-8 to the program in this form.
    with pytest.raises(FieldRejected):
        names.read(typed)


def test_a_refusal_never_repeats_what_was_typed() -> None:
    for typed in ("canary name", "canary\0", "canary@example.com", "canary" * 20, "cаnary", "canary\N{SOFT HYPHEN}"):
        with pytest.raises(FieldRejected) as refused:
            names.read(typed)
        assert "canary" not in str(refused.value)


LETTERS = st.characters(categories=["L", "N", "M", "P", "S"])
TYPED = st.one_of(
    st.text(st.sampled_from("abcXYZ019._-éßıİKkÅåσςΣюЮжガｶﾞａＡ"), min_size=1, max_size=12),
    st.text(LETTERS, min_size=1, max_size=6),
    st.text(min_size=1, max_size=70),
)


@settings(max_examples=600, deadline=None)
@given(TYPED)
@example("\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}" * 64)
def test_v2_the_canonical_form_is_its_own_and_what_was_typed_stays(typed: str) -> None:
    try:
        name = names.read(typed)
    except FieldRejected:
        return
    assert name.typed == typed
    assert len(name.canonical.encode()) <= 256, "the width of the column"
    if len(name.canonical) <= 64 and len(name.canonical.encode()) <= 128:  # Lower case may be longer than upper case.
        again = names.read(name.canonical)
        assert again.canonical == again.typed == name.canonical


def reference(typed: str) -> str:
    """Return what RFC 8265 section 3.3 says step by step, for names that the profile accepts."""
    narrow = "".join(
        unicodedata.normalize("NFKC", c) if unicodedata.decomposition(c).startswith(("<wide>", "<narrow>")) else c
        for c in typed
    )
    return unicodedata.normalize("NFC", narrow.lower())


@settings(max_examples=400, deadline=None)
@given(TYPED, TYPED)
@example("ADMIN", "ａｄｍｉｎ")
@example("e\N{COMBINING ACUTE ACCENT}", "É")
def test_v2_two_names_are_the_same_exactly_if_rfc_8265_says_so(one: str, other: str) -> None:
    for variant in (other, one.upper(), one.swapcase(), unicodedata.normalize("NFD", one)):
        if not (is_refused(one) or is_refused(variant)):
            assert (canonical(one) == canonical(variant)) == (reference(one) == reference(variant))
