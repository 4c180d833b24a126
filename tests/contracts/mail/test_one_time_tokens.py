"""What every store of one-time tokens and of claimed addresses promises."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

from uuid6 import uuid7

from authservice.domain.mail import EmailClaim, IssuedToken, Purpose
from tests.contracts.conftest import Stored
from tests.contracts.mail.things import a_token_for, presented
from tests.contracts.things import NOW, a_user, digest

LATER = NOW + timedelta(seconds=1)


def keep(stored: Stored, token: IssuedToken) -> None:
    stored.run(lambda tx: tx.one_time_tokens.put(token))


def test_a_token_is_found_as_it_was_kept_and_looking_spends_nothing(stored: Stored) -> None:
    user = stored.keep_user(a_user())
    token = a_token_for(user)
    stored.run(lambda tx: tx.one_time_tokens.put(token))
    for _ in range(3):
        assert stored.run(lambda tx: tx.one_time_tokens.get(token.id)) == token
    call_id = uuid7()
    assert stored.run(lambda tx: tx.one_time_tokens.spend(presented(token), call_id, NOW, user.id))
    assert stored.run(lambda tx: tx.one_time_tokens.get(token.id)) == replace(token, spent_by=call_id)
    assert not stored.run(lambda tx: tx.one_time_tokens.spend(presented(token), call_id, NOW, user.id))


def test_p1_of_thirty_parallel_uses_one_spends_a_token(stored: Stored) -> None:
    user = stored.keep_user(a_user())
    token = a_token_for(user)
    stored.run(lambda tx: tx.one_time_tokens.put(token))
    with ThreadPoolExecutor(30) as threads:
        spent = threads.map(
            lambda _: stored.run(lambda tx: tx.one_time_tokens.spend(presented(token), uuid7(), NOW, user.id)),
            range(30),
        )
        assert list(spent).count(True) == 1


def test_p3_the_newest_token_of_a_slot_takes_the_place_of_the_one_before(stored: Stored) -> None:
    user = stored.keep_user(a_user())
    first = a_token_for(user)
    second = a_token_for(user, slot=first.slot)
    for token in (first, second, second):
        keep(stored, token)
    assert not stored.run(lambda tx: tx.one_time_tokens.spend(presented(first), uuid7(), NOW, user.id))
    assert stored.run(lambda tx: tx.one_time_tokens.spend(presented(second), uuid7(), NOW, user.id))


def test_p2_a_token_whose_time_is_over_is_not_spent(stored: Stored) -> None:
    user = stored.keep_user(a_user())
    token = a_token_for(user, expires_at=LATER)
    stored.run(lambda tx: tx.one_time_tokens.put(token))
    assert not stored.run(lambda tx: tx.one_time_tokens.spend(presented(token), uuid7(), LATER, user.id))
    assert stored.run(lambda tx: tx.one_time_tokens.spend(presented(token), uuid7(), NOW, user.id))


def test_a_token_is_not_spent_with_another_secret_or_for_another_purpose(stored: Stored) -> None:
    user = stored.keep_user(a_user())
    token = a_token_for(user)
    stored.run(lambda tx: tx.one_time_tokens.put(token))
    other_secret = replace(presented(token), hash=digest("another"))
    other_purpose = replace(presented(token), purpose=Purpose.CHANGE_EMAIL)
    assert not stored.run(lambda tx: tx.one_time_tokens.spend(other_secret, uuid7(), NOW, user.id))
    assert not stored.run(lambda tx: tx.one_time_tokens.spend(other_purpose, uuid7(), NOW, user.id))


def test_an_invitation_is_nobodys_until_it_is_spent(stored: Stored) -> None:
    token, user = a_token_for(None, purpose=Purpose.INVITE), stored.keep_user(a_user())
    stored.run(lambda tx: tx.one_time_tokens.put(token))
    assert stored.run(lambda tx: tx.one_time_tokens.get(token.id)) == token
    assert stored.run(lambda tx: tx.one_time_tokens.spend(presented(token), uuid7(), NOW, user.id))
    spent = stored.run(lambda tx: tx.one_time_tokens.get(token.id))
    assert spent
    assert spent.user_id == user.id


def test_a_token_is_withdrawn_while_it_is_good_and_one_that_was_spent_stays(stored: Stored) -> None:
    user = stored.keep_user(a_user())
    good, spent = a_token_for(None, purpose=Purpose.INVITE), a_token_for(user)
    stored.run(lambda tx: tx.one_time_tokens.put(good))
    stored.run(lambda tx: tx.one_time_tokens.put(spent))
    assert stored.run(lambda tx: tx.one_time_tokens.spend(presented(spent), uuid7(), NOW, user.id))
    assert not stored.run(lambda tx: tx.one_time_tokens.withdraw(spent.slot, NOW))
    assert stored.run(lambda tx: tx.one_time_tokens.get(spent.id)), "whoever spent it may have to run again"
    assert not stored.run(lambda tx: tx.one_time_tokens.withdraw(good.slot, good.expires_at)), "its time is over"
    assert stored.run(lambda tx: tx.one_time_tokens.withdraw(good.slot, NOW))
    assert stored.run(lambda tx: tx.one_time_tokens.get(good.id)) is None


def test_an_address_that_is_named_is_held_by_whoever_was_first(stored: Stored) -> None:
    first, second = (stored.keep_user(a_user()) for _ in range(2))
    with ThreadPoolExecutor(8) as threads:
        rivals = [first, second] * 4
        claims = list(
            threads.map(lambda user: stored.run(lambda tx: tx.email_claims.name("a@example.com", user.id)), rivals)
        )
    assert len(set(claims)) == 1
    assert stored.run(lambda tx: tx.email_claims.confirm("a@example.com", second.id, NOW))
    assert stored.run(lambda tx: tx.email_claims.name("a@example.com", first.id)) == EmailClaim(second.id, NOW)


def test_an_address_is_changed_only_from_the_generation_that_was_seen(stored: Stored) -> None:
    user = stored.keep_user(a_user())
    with ThreadPoolExecutor(10) as threads:
        addresses = [f"new-{number}@example.com" for number in range(10)]
        changed = list(threads.map(lambda new: stored.run(lambda tx: tx.users.set_email(user, new)), addresses))
    assert changed.count(True) == 1
    found = stored.run(lambda tx: tx.users.lock(user.id))
    assert found
    assert (found.secret_generation, found.email) == (user.secret_generation + 1, addresses[changed.index(True)])


def test_a_confirmed_address_is_taken_over_from_whoever_named_it_without_proof(stored: Stored) -> None:
    first = stored.keep_user(a_user(email="a@example.com"))
    owner = stored.keep_user(a_user(email="a@example.com"))
    assert stored.run(lambda tx: tx.email_claims.holder("a@example.com")) == EmailClaim(first.id, None)
    assert stored.run(lambda tx: tx.email_claims.confirm("a@example.com", owner.id, NOW))
    assert stored.run(lambda tx: tx.users.by_email("a@example.com")) == owner
    assert not stored.run(lambda tx: tx.email_claims.confirm("a@example.com", first.id, NOW))
    assert stored.run(lambda tx: tx.email_claims.confirm("a@example.com", owner.id, LATER)), "a repetition is harmless"
    assert stored.run(lambda tx: tx.email_claims.holder("a@example.com")) == EmailClaim(owner.id, NOW)


def test_an_address_that_nobody_has_claimed_is_confirmed_at_once(stored: Stored) -> None:
    user = stored.keep_user(a_user(email="old@example.com"))
    assert stored.run(lambda tx: tx.email_claims.holder("new@example.com")) is None
    assert stored.run(lambda tx: tx.email_claims.confirm("new@example.com", user.id, NOW))
    stored.run(lambda tx: tx.email_claims.release(user.id, keep="new@example.com"))
    assert stored.run(lambda tx: tx.email_claims.holder("old@example.com")) is None
    assert stored.run(lambda tx: tx.email_claims.holder("new@example.com")) == EmailClaim(user.id, NOW)


def test_of_many_who_confirm_one_address_at_the_same_time_one_has_it(stored: Stored) -> None:
    rivals = [stored.keep_user(a_user()) for _ in range(8)]
    with ThreadPoolExecutor(8) as threads:
        won = list(
            threads.map(
                lambda user: stored.run(lambda tx: tx.email_claims.confirm("a@example.com", user.id, NOW)), rivals
            )
        )
    assert won.count(True) == 1
    holder = stored.run(lambda tx: tx.email_claims.holder("a@example.com"))
    assert holder
    assert holder.user_id == rivals[won.index(True)].id
