"""A process's copy of the signing keys: it keeps the last good set and is not to be flooded into asking."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from authclient import VerificationKey
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from authservice.domain.errors import StorageUnavailable
from authservice.domain.signing_key import KeyState, SigningKey
from authservice.security.key_ring import PUBLISHED_FIRST, KeyRing, SharedSecret
from authservice.security.sealing import CannotOpen, Sealer
from authservice.security.signing_keys import Forge, verification_key
from tests.unit.forgery import NOW

FORGE = Forge("ES256", Sealer((b"master-key-canary-of-32-bytes-00",)))


class KeyTable:
    """The keys as a database has them, which may be away or slow. Counts how often it is asked."""

    def __init__(self, *keys: SigningKey) -> None:
        self.keys = list(keys)
        self.away = False
        self.asked = 0
        self.may_answer = threading.Event()
        self.may_answer.set()

    def load(self) -> list[SigningKey]:
        self.asked += 1
        assert self.may_answer.wait(20)
        if self.away:
            raise StorageUnavailable
        return list(self.keys)


def new_key(state: KeyState = KeyState.ACTIVE) -> SigningKey:
    return replace(FORGE.make(NOW), state=state)


@pytest.fixture
def table() -> KeyTable:
    return KeyTable(new_key(KeyState.ACTIVE), new_key(KeyState.PENDING), new_key(KeyState.RETIRED))


class Stopwatch:
    """A monotonic clock that stands where it is put."""

    seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def stopwatch() -> Stopwatch:
    return Stopwatch()


@pytest.fixture
def ring(table: KeyTable, stopwatch: Stopwatch) -> Iterator[KeyRing]:
    ring = KeyRing(table.load, FORGE, stopwatch)
    ring.reload()
    table.asked = 0
    yield ring
    table.may_answer.set()


def test_keys_in_every_state_verify_and_only_the_active_one_signs(ring: KeyRing, table: KeyTable) -> None:
    for key in table.keys:
        found = ring.find(key.kid)
        assert found is not None
        assert (found.kid, found.alg) == (key.kid, "ES256")
    assert ring.signer().kid == table.keys[0].kid
    assert table.asked == 0


def test_what_the_signer_signs_the_published_key_verifies(ring: KeyRing) -> None:
    signer = ring.signer()
    published = ring.find(signer.kid)
    assert published is not None
    assert isinstance(signer.key, ec.EllipticCurvePrivateKey)
    assert signer.key.public_key() == published.key


def test_y2_the_last_good_set_stays_while_the_database_is_away(ring: KeyRing, table: KeyTable) -> None:
    table.away = True
    with pytest.raises(StorageUnavailable):
        ring.reload()
    assert ring.find("unknown") is None
    assert table.asked == 2, "the unknown id did ask"
    for key in table.keys:
        assert ring.find(key.kid) is not None
    assert ring.signer().kid == table.keys[0].kid


def test_y2_a_flood_of_unknown_ids_asks_the_database_once(ring: KeyRing, table: KeyTable) -> None:
    for number in range(10_000):
        assert ring.find(f"unknown-{number}") is None
    assert table.asked == 1


def test_y2_a_flood_on_many_threads_asks_once_and_waits_for_nothing(ring: KeyRing, table: KeyTable) -> None:
    table.may_answer.clear()
    with ThreadPoolExecutor(8) as callers:
        first = callers.submit(ring.find, "unknown")
        while not table.asked:
            assert not first.done()
        others = [callers.submit(ring.find, f"unknown-{number}") for number in range(1000)]
        assert [each.result(20) for each in others] == [None] * 1000
        known = callers.submit(ring.find, table.keys[0].kid)
        assert known.result(20) is not None
        assert not first.done()
        table.may_answer.set()
        assert first.result(20) is None
    assert table.asked == 1


def test_a_key_that_another_server_has_made_is_found_at_its_first_use(ring: KeyRing, table: KeyTable) -> None:
    fresh = new_key(KeyState.PENDING)
    table.keys.append(fresh)
    found = ring.find(fresh.kid)
    assert found is not None
    assert found.kid == fresh.kid


def test_y1_the_signer_follows_the_activation_and_the_old_key_still_verifies(
    ring: KeyRing, table: KeyTable, stopwatch: Stopwatch
) -> None:
    stopwatch.seconds += PUBLISHED_FIRST
    old, new, retired = table.keys
    table.keys = [replace(old, state=KeyState.RETIRED), replace(new, state=KeyState.ACTIVE), retired]
    assert ring.signer().kid == old.kid
    ring.reload()
    assert ring.signer().kid == new.kid
    assert ring.find(old.kid) is not None


def test_y1_a_key_that_comes_active_is_published_from_here_before_it_signs(
    ring: KeyRing, table: KeyTable, stopwatch: Stopwatch
) -> None:
    old, new = table.keys[0], new_key(KeyState.ACTIVE)
    table.keys = [replace(old, state=KeyState.RETIRED), new]
    ring.reload()
    assert new in ring.published
    stopwatch.seconds += PUBLISHED_FIRST - 0.001
    ring.reload()
    assert ring.signer().kid == old.kid
    stopwatch.seconds += 0.001
    ring.reload()
    assert ring.signer().kid == new.kid


def test_y3_a_removed_signer_is_replaced_at_once(ring: KeyRing, table: KeyTable) -> None:
    table.keys = [new_key(KeyState.ACTIVE)]
    ring.reload()
    assert ring.signer().kid == table.keys[0].kid


def test_a_list_of_published_keys_that_has_not_changed_is_the_same(ring: KeyRing, table: KeyTable) -> None:
    before = ring.published
    ring.reload()
    assert ring.published is before
    table.keys.pop()
    ring.reload()
    assert ring.published == table.keys


def test_y3_a_removed_key_verifies_nothing_after_the_next_reload(ring: KeyRing, table: KeyTable) -> None:
    removed = table.keys.pop()
    ring.reload()
    assert ring.find(removed.kid) is None


def test_y3_an_active_key_that_was_removed_signs_nothing_more(ring: KeyRing, table: KeyTable) -> None:
    table.keys = [key for key in table.keys if key.state is not KeyState.ACTIVE]
    ring.reload()
    with pytest.raises(StorageUnavailable):
        ring.signer()


def test_before_the_first_load_nothing_verifies_and_signing_asks_for_itself(table: KeyTable) -> None:
    ring = KeyRing(table.load, FORGE)
    assert ring.signer().kid == table.keys[0].kid
    assert ring.find(table.keys[1].kid) is not None


def test_without_any_key_signing_is_unavailable_and_verifying_finds_nothing() -> None:
    table = KeyTable()
    ring = KeyRing(table.load, FORGE)
    assert ring.find("any") is None
    with pytest.raises(StorageUnavailable):
        ring.signer()
    table.away = True
    with pytest.raises(StorageUnavailable):
        ring.signer()


def test_y6_a_key_that_another_master_key_sealed_is_named(table: KeyTable) -> None:
    ring = KeyRing(table.load, Forge("ES256", Sealer((b"another-master-key-of-32-bytes-0",))))
    with pytest.raises(CannotOpen, match=r"master key that is not configured"):
        ring.reload()


def test_y6_a_new_active_key_that_cannot_be_opened_harms_no_reader_of_tokens(ring: KeyRing, table: KeyTable) -> None:
    sealed_elsewhere = Forge("ES256", Sealer((b"another-master-key-of-32-bytes-0",))).make(NOW)
    old = table.keys[0]
    table.keys[0] = replace(old, state=KeyState.RETIRED)
    table.keys.append(replace(sealed_elsewhere, state=KeyState.ACTIVE))
    # The id of a token comes from whoever sent it, so looking it up must not end in a fault.
    assert ring.find("unknown") is None
    assert ring.find(old.kid) is not None


@pytest.mark.parametrize("alg", ["ES256", "EdDSA", "RS256"])
def test_y4_new_keys_are_strong_and_open_again(alg: str) -> None:
    forge = Forge(alg, FORGE.sealer)
    key = forge.make(NOW)
    private = forge.open(key)
    match private:
        case ec.EllipticCurvePrivateKey():
            assert isinstance(private.curve, ec.SECP256R1)
        case rsa.RSAPrivateKey():
            assert private.key_size >= 3072
        case _:
            assert isinstance(private, ed25519.Ed25519PrivateKey)
    assert verification_key(key).key == private.public_key()
    assert key.state is KeyState.PENDING
    assert forge.make(NOW).kid != key.kid


def test_y4_keys_too_weak_or_of_another_kind_are_refused_by_name() -> None:
    weak = rsa.generate_private_key(65537, 1024).public_key()
    curve = ec.generate_private_key(ec.SECP384R1()).public_key()
    edwards = ed25519.Ed25519PrivateKey.generate().public_key()
    cases = [("RS256", weak), ("ES256", curve), ("HS256", b"k" * 31), ("HS256", b""), ("RS256", edwards)]
    cases += [("EdDSA", curve), ("ES256", b"k" * 32), ("none", b"k" * 32), ("HS256", edwards), ("PS256", weak)]
    for alg, key in cases:
        with pytest.raises(ValueError, match=r"key 'its-id' cannot be used for"):
            VerificationKey("its-id", alg, key)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="unknown algorithm"):
        Forge("HS256", FORGE.sealer).make(NOW)


def test_a_shared_secret_stands_in_the_place_of_managed_keys() -> None:
    shared = SharedSecret(b"jwt-secret-canary-of-32-bytes-00")
    assert shared.find(shared.signer().kid) is not None
    assert shared.find("unknown") is None
    with pytest.raises(ValueError, match="fewer than 32 bytes"):
        SharedSecret(b"k" * 31)


def test_y5_private_keys_and_secrets_do_not_show_when_printed(ring: KeyRing, table: KeyTable) -> None:
    shared = SharedSecret(b"jwt-secret-canary-of-32-bytes-00")
    shown = " ".join(map(repr, (shared.signer(), shared.find(SharedSecret.KID), FORGE, ring.signer(), table.keys[0])))
    assert "canary" not in shown
    assert repr(table.keys[0].sealed_private) not in shown
