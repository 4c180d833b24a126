"""What becomes of a mail that somebody asked for: one with a token, one that says something else, or none.

Here and not in the call that asked, so that the call does the same for everybody.
"""

from dataclasses import dataclass, replace
from uuid import UUID

from authservice.domain import events
from authservice.domain.deadline import Deadline
from authservice.domain.mail import Letter, MailKind, OneTimeToken, Purpose
from authservice.domain.user import User
from authservice.ports import Audit, AuthStores, Clock, Database, last_counts
from authservice.usecases.steps.find_user import FindUser
from authservice.usecases.steps.one_time_tokens import IssueToken
from authservice.usecases.steps.own_claim import own_claim
from authservice.usecases.steps.send_mail import SendMail

STEP_SECONDS = 10.0

_ANSWERS = {
    MailKind.RESET_ASKED: (Purpose.RESET, MailKind.RESET),
    MailKind.VERIFY_EMAIL_ASKED: (Purpose.VERIFY_EMAIL, MailKind.VERIFY_EMAIL),
    MailKind.CHANGE_EMAIL_ASKED: (Purpose.CHANGE_EMAIL, MailKind.CHANGE_EMAIL_NEW),
}
"""What the token in the answer is for, and what the answer is."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """What may be sent, written before it is known whether it is."""

    token: OneTimeToken
    letter: Letter
    notice: Letter
    again: Letter


@dataclass(frozen=True, slots=True)
class AnswerAsked:
    """Puts the answer into the outbox in the place of what was asked."""

    database: Database[AuthStores]
    find_user: FindUser
    issue_token: IssueToken
    send_mail: SendMail
    clock: Clock
    audit: Audit

    def __call__(self, asked: Letter) -> None:
        """Answer a letter that was asked for. Raises StorageUnavailable, Conflict."""
        deadline = Deadline.after(STEP_SECONDS)
        user = self.database.read(lambda tx: self._asker(tx, asked), deadline)
        answer = self._draft(asked)
        sent = self.database.transact(lambda tx: self._put(tx, asked, user, answer), deadline, settle=last_counts)
        self.audit.record(
            events.MailAnswered(
                mail_id=asked.id, user_id=user.id if user else None, answer_id=sent.id if sent else None
            )
        )

    def _asker(self, tx: AuthStores, asked: Letter) -> User | None:
        if asked.kind is MailKind.CHANGE_EMAIL_ASKED:
            return tx.users.get(asked.user_id) if asked.user_id else None
        return self.find_user(tx, asked.facts["identifier"])[1]

    def _draft(self, asked: Letter) -> _Answer:
        purpose, kind = _ANSWERS[asked.kind]
        token = self.issue_token.new(purpose)
        return _Answer(
            token,
            letter=self.send_mail.draft(kind, self.issue_token.lives[purpose], token=token.text),
            notice=self.send_mail.draft(MailKind.CHANGE_EMAIL_OLD),
            again=self.send_mail.draft(MailKind.REGISTERED_AGAIN),
        )

    def _put(self, tx: AuthStores, asked: Letter, user: User | None, answer: _Answer) -> Letter | None:
        tx.outbox.remove(asked.id)
        current = tx.users.lock(user.id) if user else None
        if current is None or not current.is_active:
            return None
        if asked.kind is MailKind.RESET_ASKED:
            return self._reset(tx, current, answer)
        if asked.kind is MailKind.VERIFY_EMAIL_ASKED:
            return self._confirm(tx, current, current.email or "", answer)
        return self._change(tx, current, asked, answer)

    def _reset(self, tx: AuthStores, user: User, answer: _Answer) -> Letter | None:
        # To the address that is stored, never to the one that was typed (CVE-2019-19844), and only if it is the user's.
        if user.email is None or own_claim(tx, user) is None:
            return None
        # Whatever strangers have asked for, an owner who asks is never without a token that is good.
        is_without = not self.issue_token.has_live(tx, Purpose.RESET, user, answer.letter.written_at)
        if not self.send_mail.may_ask(tx, user.email, answer.letter) and not is_without:
            return None
        return self._send_token(tx, user, user.email, answer)

    def _confirm(self, tx: AuthStores, user: User, address: str, answer: _Answer) -> Letter | None:
        """Send a token to an address that is to be confirmed, or tell its owner that somebody has named it."""
        claim = tx.email_claims.holder(address) if address else None
        if not address or (claim and claim.confirmed_at and claim.user_id == user.id):
            return None
        if claim is None or not claim.confirmed_at:
            if not self.send_mail.may_ask(tx, address, answer.letter):
                return None
            return self._send_token(tx, user, address, answer)
        owner = tx.users.get(claim.user_id)
        if owner is None or not self.send_mail.may_ask(tx, address, answer.again):
            return None
        again = replace(answer.again, address=address, facts={"user_name": owner.name.typed}, user_id=owner.id)
        self.send_mail(tx, again)
        return again

    def _change(self, tx: AuthStores, user: User, asked: Letter, answer: _Answer) -> Letter | None:
        session_id, address = UUID(asked.facts["session_id"]), asked.facts["new_email"]
        found = tx.sessions.get(session_id)
        if found is None or found[0].ended_at or str(user.secret_generation) != asked.facts["secret_generation"]:
            return None  # Ended, or proved anew, since it was asked for.
        if not self.send_mail.may_have_asked(tx, user, answer.letter):
            return None
        # Whatever becomes of it, so that nobody learns by it whose the new address is.
        self.send_mail.notify(tx, user, answer.notice)
        sent = self._confirm(tx, user, address, answer)
        # One that nobody was sent stands in for it in what the user can export.
        self.issue_token(tx, answer.token, user, address, answer.letter.written_at, session_id)
        return sent

    def _send_token(self, tx: AuthStores, user: User, address: str, answer: _Answer) -> Letter:
        letter = replace(answer.letter, address=address, user_id=user.id)
        self.send_mail(tx, letter)
        self.issue_token(tx, answer.token, user, address, letter.written_at)
        return letter
