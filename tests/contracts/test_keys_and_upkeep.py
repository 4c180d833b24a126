"""What every store of keys, secrets and attempts promises, and the deletion of what has expired."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

from authservice.domain.signing_key import KeyState
from tests.contracts.conftest import Stored
from tests.contracts.things import NOW, a_key, a_session, a_user, digest

LATER = NOW + timedelta(days=1)


def test_a_key_goes_through_its_states_once(stored: Stored) -> None:
    key = a_key()
    assert stored.run(lambda tx: tx.signing_keys.add(key))
    assert stored.run(lambda tx: tx.signing_keys.all()) == [key]
    assert stored.run(lambda tx: tx.signing_keys.move(key.kid, KeyState.PENDING, KeyState.ACTIVE, NOW))
    assert not stored.run(lambda tx: tx.signing_keys.move(key.kid, KeyState.PENDING, KeyState.ACTIVE, LATER))
    assert stored.run(lambda tx: tx.signing_keys.move(key.kid, KeyState.ACTIVE, KeyState.RETIRED, LATER))
    retired = replace(key, state=KeyState.RETIRED, activated_at=NOW, retired_at=LATER)
    assert stored.run(lambda tx: tx.signing_keys.all()) == [retired]
    stored.run(lambda tx: tx.signing_keys.remove(key.kid))
    assert stored.run(lambda tx: tx.signing_keys.all()) == []


def test_there_is_one_pending_and_one_active_key_at_most(stored: Stored) -> None:
    first, second, third = a_key(), a_key(), a_key()
    stored.run(lambda tx: tx.signing_keys.add(first))
    assert not stored.run(lambda tx: tx.signing_keys.add(second))
    stored.run(lambda tx: tx.signing_keys.move(first.kid, KeyState.PENDING, KeyState.ACTIVE, NOW))
    assert stored.run(lambda tx: tx.signing_keys.add(third))
    assert not stored.run(lambda tx: tx.signing_keys.move(third.kid, KeyState.PENDING, KeyState.ACTIVE, NOW))
    assert [key.state for key in stored.run(lambda tx: tx.signing_keys.all())].count(KeyState.ACTIVE) == 1


def test_parallel_servers_publish_one_key(stored: Stored) -> None:
    with ThreadPoolExecutor(10) as threads:
        kept = list(threads.map(lambda _: stored.run(lambda tx: tx.signing_keys.add(a_key())), range(10)))
    assert kept.count(True) == 1
    assert len(stored.run(lambda tx: tx.signing_keys.all())) == 1


def test_a_resealed_key_opens_by_its_new_seal(stored: Stored) -> None:
    key = a_key()
    stored.run(lambda tx: tx.signing_keys.add(key))
    stored.run(lambda tx: tx.signing_keys.reseal(key.kid, b"resealed"))
    assert stored.run(lambda tx: tx.signing_keys.all())[0].sealed_private == b"resealed"


def test_the_first_secret_of_a_purpose_stays(stored: Stored) -> None:
    stored.run(lambda tx: tx.sealed_secrets.add("pepper", b"first", NOW))
    stored.run(lambda tx: tx.sealed_secrets.add("pepper", b"second", NOW))
    assert stored.run(lambda tx: tx.sealed_secrets.all()) == {"pepper": b"first"}
    stored.run(lambda tx: tx.sealed_secrets.reseal("pepper", b"resealed"))
    assert stored.run(lambda tx: tx.sealed_secrets.all()) == {"pepper": b"resealed"}


def test_parallel_attempts_all_count(stored: Stored) -> None:
    subject = digest("ada")
    with ThreadPoolExecutor(20) as threads:
        counts = list(threads.map(lambda _: stored.run(lambda tx: tx.attempts.count(subject, NOW, LATER)), range(40)))
    assert max(counts) == 40
    stored.run(lambda tx: tx.attempts.clear(subject))
    assert stored.run(lambda tx: tx.attempts.count(subject, NOW, LATER)) == 1


def test_what_has_expired_is_deleted_in_batches(stored: Stored) -> None:
    user = stored.run(lambda tx: tx.users.add(a_user()))
    for _ in range(5):
        stored.run(lambda tx: tx.sessions.add(a_session(user, absolute_end=NOW)))
    kept = a_session(user)
    stored.run(lambda tx: tx.sessions.add(kept))
    stored.run(lambda tx: tx.attempts.count(digest("old"), NOW, NOW))
    stored.run(lambda tx: tx.attempts.count(digest("new"), NOW, LATER))
    assert [stored.run(lambda tx: tx.expired.purge(NOW, 3)) for _ in range(3)] == [4, 2, 0]
    assert stored.run(lambda tx: tx.sessions.get(kept.id)) is not None
    assert stored.run(lambda tx: tx.attempts.count(digest("new"), NOW, LATER)) == 2
