"""How passwords are hashed and compared. What a new one may be is in test_password_rules.py."""

import random
import re
import time
import unicodedata
from collections.abc import Iterator

import bcrypt
import pytest

from authservice.domain.deadline import Deadline
from authservice.domain.errors import FieldRejected, Overloaded
from authservice.ports import PasswordCheck
from authservice.security.hash_pool import HashPool
from authservice.security.passwords import MAX_COST, SCHEME, BcryptPasswords, imported_hash
from tests.conftest import CHEAPEST

PEPPER = b"pepper-canary-of-thirty-two-byte"
PASSWORD = "quiet copper lantern 47 rivers"
MATCH = PasswordCheck(matches=True, outdated=False)


@pytest.fixture(scope="module")
def pool() -> Iterator[HashPool]:
    pool = HashPool(threads=2, queue=8)
    yield pool
    pool.close()


@pytest.fixture(scope="module")
def passwords(pool: HashPool) -> BcryptPasswords:
    return BcryptPasswords(PEPPER, pool, CHEAPEST)


def soon() -> Deadline:
    return Deadline.after(30)


def matches(passwords: BcryptPasswords, password: str, stored: str | None) -> bool:
    return passwords.check(password, stored, soon()).matches


def test_a_password_matches_its_own_hash_and_no_other(passwords: BcryptPasswords) -> None:
    stored = passwords.hash(PASSWORD, soon())
    assert passwords.check(PASSWORD, stored, soon()) == MATCH
    for other in (PASSWORD[:-1], PASSWORD + "!", PASSWORD.title(), "", "x"):
        assert not matches(passwords, other, stored)


def test_an_unknown_user_costs_one_computation_and_never_matches(passwords: BcryptPasswords, pool: HashPool) -> None:
    before = pool.computed
    assert not passwords.check(PASSWORD, None, soon()).matches
    assert pool.computed - before == 1


@pytest.mark.parametrize("split", [71, 72, 73, 74])
def test_c1_passwords_that_differ_only_after_bcrypts_72_bytes_are_two(passwords: BcryptPasswords, split: int) -> None:
    chance = random.Random(split)
    for _ in range(10):
        start = "".join(chance.choices("abcdefghijklmnop ", k=split))
        stored = passwords.hash(start + "one", soon())
        assert matches(passwords, start + "one", stored)
        assert not matches(passwords, start + "two", stored)
        assert not matches(passwords, start, stored)


def test_c1_64_emoji_are_a_password_like_any_other(passwords: BcryptPasswords) -> None:
    emoji = "".join(chr(0x1F600 + n) for n in range(64))
    assert len(emoji.encode()) == 256
    stored = passwords.hash(emoji, soon())
    assert matches(passwords, emoji, stored)
    assert not matches(passwords, emoji[:-1] + "\N{GRINNING FACE}", stored)
    assert not matches(passwords, emoji[:18], stored)


def test_c1_the_longest_password_counts_to_its_last_character(passwords: BcryptPasswords) -> None:
    longest = "\N{MUSICAL SYMBOL G CLEF}" * 1023
    stored = passwords.hash(longest + "a", soon())
    assert matches(passwords, longest + "a", stored)
    assert not matches(passwords, longest + "b", stored)


def test_c2_a_nul_is_a_character_like_any_other_wherever_it_stands(passwords: BcryptPasswords) -> None:
    plain = PASSWORD[:25]
    plain_hash = passwords.hash(plain, soon())
    for position in range(len(plain) + 1):
        with_nul = plain[:position] + "\0" + plain[position:]
        assert not matches(passwords, with_nul, plain_hash)
        stored = passwords.hash(with_nul, soon())
        assert matches(passwords, with_nul, stored)
        assert not matches(passwords, plain, stored)
        assert not matches(passwords, plain[:position], stored)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("caf\N{LATIN SMALL LETTER E WITH ACUTE} noir", "cafe\N{COMBINING ACUTE ACCENT} noir"),
        ("copper lantern", "ｃｏｐｐｅｒ\N{IDEOGRAPHIC SPACE}ｌａｎｔｅｒｎ"),
        ("\N{LATIN SMALL LIGATURE FI}nal copper", "final copper"),
        ("\N{ANGSTROM SIGN}ngstrom", "\N{LATIN CAPITAL LETTER A WITH RING ABOVE}ngstrom"),
        ("copper\N{NO-BREAK SPACE}lantern", "copper lantern"),
        ("lantern \N{ROMAN NUMERAL EIGHT}", "lantern VIII"),
        ("\N{HANGUL SYLLABLE HAN}", "\N{HANGUL CHOSEONG HIEUH}\N{HANGUL JUNGSEONG A}\N{HANGUL JONGSEONG NIEUN}"),
    ],
)
def test_c3_one_password_typed_on_two_keyboards_is_one(passwords: BcryptPasswords, one: str, other: str) -> None:
    assert one != other
    assert matches(passwords, one, passwords.hash(other, soon()))
    assert matches(passwords, other, passwords.hash(one, soon()))


@pytest.mark.parametrize(
    "other",
    [
        PASSWORD.upper(),
        PASSWORD.swapcase(),
        " " + PASSWORD,
        PASSWORD + " ",
        PASSWORD + "\n",
        PASSWORD.replace(" ", ""),
        PASSWORD.replace(" ", "  ", 1),
        PASSWORD.replace("e", "\N{LATIN SMALL LETTER E WITH ACUTE}"),
        PASSWORD.replace("o", "\N{CYRILLIC SMALL LETTER O}"),
        PASSWORD + "\N{ZERO WIDTH SPACE}",
    ],
)
def test_c3_case_accents_and_spaces_matter_even_outer_ones(passwords: BcryptPasswords, other: str) -> None:
    assert not matches(passwords, other, passwords.hash(PASSWORD, soon()))


def test_c3_any_text_matches_itself_in_each_normal_form_that_nfkc_unites(passwords: BcryptPasswords) -> None:
    chance = random.Random(3)
    for _ in range(100):
        text = "".join(chr(chance.choice([0xC0, 0x1E00, 0xAC00, 0xFF01, 0x20, 0x3041]) + n) for n in range(15))
        stored = passwords.hash(text, soon())
        for form in ("NFC", "NFD", "NFKC", "NFKD"):
            assert matches(passwords, unicodedata.normalize(form, text), stored)


def test_c5_a_hash_names_its_scheme_and_its_cost(pool: HashPool) -> None:
    for cost in (CHEAPEST, CHEAPEST + 1):
        stored = BcryptPasswords(PEPPER, pool, cost).hash(PASSWORD, soon())
        assert re.fullmatch(rf"hmac-sha256\+\$2b\${cost:02}\$[./A-Za-z0-9]{{53}}", stored)


def test_c5_equal_passwords_have_different_hashes(passwords: BcryptPasswords) -> None:
    hashes = {passwords.hash(PASSWORD, soon()) for _ in range(50)}
    assert len({stored[: len("hmac-sha256+$2b$04$") + 22] for stored in hashes}) == 50, "the salts"
    assert len(hashes) == 50


def test_c5_a_stolen_hash_cannot_be_guessed_at_without_the_pepper(passwords: BcryptPasswords, pool: HashPool) -> None:
    stored = passwords.hash(PASSWORD, soon())
    assert not matches(BcryptPasswords(b"another pepper of thirty-two byt", pool, CHEAPEST), PASSWORD, stored)
    assert not matches(BcryptPasswords(b"", pool, CHEAPEST), PASSWORD, stored)
    assert not bcrypt.checkpw(PASSWORD.encode(), stored.removeprefix("hmac-sha256+").encode())


def test_l1_neither_pepper_nor_decoy_shows_when_printed(passwords: BcryptPasswords) -> None:
    assert "pepper-canary" not in repr(passwords)
    assert "$2b$" not in repr(passwords)


def corrupt(good: str) -> list[str]:
    digest = good.removeprefix("hmac-sha256+")
    shapes = [
        "",
        "!",
        "*",
        "x",
        good[:-1],
        good + "x",
        good + "\n",
        good.upper(),
        "hmac-sha256+",
        digest[:29],
        good[:30],
    ]
    shapes += ["$2b$", "$2b$04$", digest.replace("$04$", "$31$"), good.replace("$04$", "$31$"), "\0", "\N{BULLET}" * 60]
    shapes += [good.replace("$04$", "$99$"), good.replace("$04$", "$00$"), good.replace("$04$", "$03$")]
    shapes += [good.replace("$04$", f"${MAX_COST + 1}$"), good.replace("$04$", "$4$"), good.replace("$04$", "$-4$")]
    shapes += [digest.replace("$2b$", "$2x$"), digest.replace("$2b$", "$1$"), "hmac-sha512+" + digest, "md5+" + digest]
    shapes += [
        "hmac-sha256+" + good,
        "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$aGFzaA",
        digest.replace("$04$", "$٠٤$"),
    ]
    return [*shapes, good.encode().hex(), " " + good, good[:25] + "!" + good[26:]]


def test_c7_a_corrupt_stored_hash_never_matches_and_costs_one_computation(
    passwords: BcryptPasswords, pool: HashPool
) -> None:
    shapes = corrupt(passwords.hash(PASSWORD, soon()))
    assert len(shapes) >= 10
    for shape in shapes:
        before = pool.computed
        assert not passwords.check(PASSWORD, shape, soon()).matches, shape
        assert pool.computed - before == 1, shape


@pytest.mark.parametrize("position", [28, 59])
def test_c7_loose_last_bits_of_salt_or_digest_cause_no_fault(passwords: BcryptPasswords, position: int) -> None:
    # 22 characters hold a salt of 16 bytes, 31 a digest of 23: the last of each carries bits that mean nothing.
    good = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(CHEAPEST)).decode()
    for last in "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789":
        passwords.check(PASSWORD, good[:position] + last + good[position + 1 :], soon())


@pytest.mark.parametrize("cost", [CHEAPEST, CHEAPEST + 1, CHEAPEST + 2])
def test_c10_the_decoy_costs_as_much_as_a_hash_and_is_another_each_time(pool: HashPool, cost: int) -> None:
    decoys = {BcryptPasswords(PEPPER, pool, cost)._decoy for _ in range(4)}
    assert len(decoys) == 4
    for decoy in decoys:
        plain = decoy.removeprefix(SCHEME)
        assert bcrypt.hashpw(b"", plain.encode())[:29] == plain[:29].encode()
        assert int(plain[4:6]) == cost


def test_c7_no_password_matches_by_way_of_the_decoy(passwords: BcryptPasswords) -> None:
    # The decoy stands in for what cannot be read; whoever guessed its password would still not be let in.
    decoyed = BcryptPasswords(PEPPER, passwords.pool, CHEAPEST)
    object.__setattr__(decoyed, "_decoy", decoyed.hash("known", soon()))
    for stored in (None, "", "!"):
        assert not matches(decoyed, "known", stored)


def test_c6_an_imported_plain_hash_verifies_and_is_outdated(passwords: BcryptPasswords) -> None:
    for prefix in (b"2a", b"2b"):
        stored = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(CHEAPEST, prefix)).decode()
        assert passwords.check(PASSWORD, stored, soon()) == PasswordCheck(matches=True, outdated=True)
        assert not matches(passwords, PASSWORD + "!", stored)


def test_c6_an_imported_hash_of_a_long_password_verifies_as_the_other_system_did(passwords: BcryptPasswords) -> None:
    long = "copper lantern " * 10
    stored = bcrypt.hashpw(long.encode()[:72], bcrypt.gensalt(CHEAPEST)).decode()
    assert passwords.check(long, stored, soon()) == PasswordCheck(matches=True, outdated=True)


def test_c6_a_hash_of_another_cost_verifies_and_is_outdated(passwords: BcryptPasswords, pool: HashPool) -> None:
    stored = BcryptPasswords(PEPPER, pool, CHEAPEST + 1).hash(PASSWORD, soon())
    assert passwords.check(PASSWORD, stored, soon()) == PasswordCheck(matches=True, outdated=True)
    assert passwords.check(PASSWORD, passwords.hash(PASSWORD, soon()), soon()) == MATCH


def expect_no_room(passwords: BcryptPasswords) -> None:
    with pytest.raises(Overloaded):
        passwords.require_room()


def test_a_full_pool_is_named_before_any_other_work() -> None:
    full = HashPool(threads=1, queue=0)
    try:
        passwords = BcryptPasswords(PEPPER, full, CHEAPEST)
        passwords.require_room()
        full.run(lambda: expect_no_room(passwords), soon())
        passwords.require_room()
    finally:
        full.close()


def test_c6_c10_a_wrong_password_costs_as_much_with_a_cheap_imported_hash_as_without_a_user() -> None:
    pool = HashPool(threads=1, queue=1)
    costly = BcryptPasswords(PEPPER, pool, CHEAPEST + 6)
    imported = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(CHEAPEST)).decode()

    def seconds(stored: str | None) -> float:
        """Return the least of a few attempts, on the one thread of the pool."""
        taken = []
        for _ in range(5):
            begin = pool.run(time.thread_time, soon())
            assert not matches(costly, PASSWORD + "!", stored)
            taken.append(pool.run(time.thread_time, soon()) - begin)
        return min(taken)

    assert 0.8 < seconds(imported) / seconds(None) < 1.25, "64 times as cheap by itself"
    pool.close()


@pytest.mark.parametrize("prefix", ["2a", "2b", "2y"])
def test_c6_a_hash_of_another_system_is_taken_whole(prefix: str) -> None:
    text = f"${prefix}$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy"
    assert imported_hash(f" {text}\n") == text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "required"),
        ("password", "no bcrypt hash"),
        ("$2x$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy", "no bcrypt hash"),
        ("$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhW", "no bcrypt hash"),
        ("$2b$31$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy", "cost beyond 4 to 15"),
        ("$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA", "no bcrypt hash"),
    ],
)
def test_c6_what_is_no_bcrypt_hash_is_not_imported(text: str, says: str) -> None:
    with pytest.raises(FieldRejected, match=says):
        imported_hash(text)
