"""What the shop knows: articles and orders. Nothing here knows who may do what."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

ARTICLES = ("compass", "lantern", "rope")


class NoSuchThing(LookupError):
    """There is no such article or order."""


@dataclass(frozen=True)
class Order:
    """One order."""

    id: int
    article: str
    user_id: str


class Shop:
    """Keeps orders in memory. Safe for many threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._orders: dict[int, Order] = {}
        self._last_id = 0

    def place(self, article: str, user_id: str) -> Order:
        """Return a new order. Raises NoSuchThing."""
        if article not in ARTICLES:
            raise NoSuchThing(f"We do not sell {article!r}.")
        with self._changed:
            self._last_id += 1
            order = self._orders[self._last_id] = Order(self._last_id, article, user_id)
            self._changed.notify_all()
        return order

    def cancel(self, order_id: int) -> None:
        """Forget an order. Raises NoSuchThing."""
        with self._changed:
            if self._orders.pop(order_id, None) is None:
                raise NoSuchThing("There is no such order.")

    def follow(self, user_id: str, is_wanted: Callable[[], bool]) -> Iterator[Order]:
        """Yield a user's orders, those there are and then each new one, until `wake` finds it not wanted any more."""
        seen = 0
        while is_wanted():
            with self._changed:
                fresh = [order for order in self._orders.values() if order.id > seen and order.user_id == user_id]
                if not fresh:
                    self._changed.wait()
                    continue
            seen = fresh[-1].id
            yield from fresh

    def wake(self) -> None:
        """Let those who follow look whether they still want to."""
        with self._changed:
            self._changed.notify_all()
