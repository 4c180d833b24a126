"""One round trip for calls that arrive together.

One thread at a time talks to the database. Those that arrive meanwhile wait in line; when it is done it wakes the first
of them, which talks for all who wait by then. So a batch never begins before the calls that it answers, and at low load
a call goes by itself without waiting for anyone. One look-up costs MariaDB and the driver about as much as the whole
rest of a call; thirty-two in one query cost little more than one.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from authservice.domain.deadline import Deadline
from authservice.domain.errors import DeadlineTooShort

Question = TypeVar("Question")
Answer = TypeVar("Answer")


class _Ticket(Generic[Question, Answer]):
    """One call in line. `gate` opens when it is answered, or when it is its turn to lead."""

    __slots__ = ("answer", "error", "gate", "leads", "question")

    def __init__(self, question: Question) -> None:
        self.question = question
        self.gate = threading.Lock()
        self.gate.acquire()
        self.leads = False
        self.answer: Answer | None = None
        self.error: Exception | None = None


class Batches(Generic[Question, Answer]):
    """Collects questions and has them answered together. Lives as long as the process; safe for many threads.

    Args:
        work: answers questions, in their order. Called by one thread at a time; what it raises, all who wait for it
        get.
    """

    def __init__(self, work: Callable[[Sequence[Question]], Sequence[Answer]]) -> None:
        self._work = work
        self._lock = threading.Lock()
        self._line: list[_Ticket[Question, Answer]] = []
        self._is_working = False

    def ask(self, question: Question, deadline: Deadline) -> Answer:
        """Return the answer, from work that starts now or later. Raises DeadlineTooShort, and what `work` raises."""
        ticket: _Ticket[Question, Answer] | None = None
        with self._lock:
            if self._is_working:
                ticket = _Ticket(question)
                self._line.append(ticket)
            self._is_working = True
        if ticket is None:
            try:
                return self._work((question,))[0]
            finally:
                self._pass_on()
        if self._wait(ticket, deadline):
            self._work_for_the_line()
        if ticket.error:
            raise ticket.error
        return ticket.answer  # type: ignore[return-value]  # set where there is no error

    def _wait(self, ticket: _Ticket[Question, Answer], deadline: Deadline) -> bool:
        """Wait for an answer, or for the turn to lead. Tells whether it is the turn. Raises DeadlineTooShort."""
        if not ticket.gate.acquire(timeout=max(0.0, deadline.remaining())):
            with self._lock:
                if ticket in self._line and not ticket.leads:
                    self._line.remove(ticket)
                    raise DeadlineTooShort
            # Too late to leave: the answer is on its way, or the others count on this ticket to lead.
            ticket.gate.acquire()
        return ticket.leads

    def _work_for_the_line(self) -> None:
        with self._lock:
            batch, self._line = self._line, []
        try:
            answers = self._work([ticket.question for ticket in batch])
            for ticket, answer in zip(batch, answers, strict=True):
                ticket.answer = answer
        except Exception as error:
            for ticket in batch:
                ticket.error = error
        finally:
            self._pass_on()
            for ticket in batch:
                if not ticket.leads:
                    ticket.gate.release()

    def _pass_on(self) -> None:
        with self._lock:
            self._is_working = bool(self._line)
            if self._line:
                self._line[0].leads = True
                self._line[0].gate.release()
