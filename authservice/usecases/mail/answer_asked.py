"""What becomes of a mail that somebody asked for: one with a token, one that says something else, or none.

Here and not in the call that asked, so that the call does the same for everybody.
"""

from dataclasses import dataclass, replace

from authservice.domain import events
from authservice.domain.deadline import Deadline
from authservice.domain.mail import Letter, MailKind, OneTimeToken, Purpose
from authservice.domain.user import User
from authservice.ports import Audit, AuthStores, Clock, Database, last_counts
from authservice.usecases.steps.find_user import FindUser
from authservice.usecases.steps.one_time_tokens import IssueToken
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
        return self._change(tx, current, asked.facts["new_email"], answer)

    def _reset(self, tx: AuthStores, user: User, answer: _Answer) -> Letter | None:
        # To the address that is stored, never to the one that was typed (CVE-2019-19844), and only if it is the user's.
        claim = tx.email_claims.holder(user.email) if user.email else None
        if user.email is None or claim is None or claim.user_id != user.id:
            return None
        return self._send_token(tx, user, user.email, answer)

    def _confirm(self, tx: AuthStores, user: User, address: str, answer: _Answer) -> Letter | None:
        """Send a token to an address that is to be confirmed, or tell its owner that somebody has named it."""
        claim = tx.email_claims.holder(address) if address else None
        if not address or (claim and claim.confirmed_at and claim.user_id == user.id):
            return None
        if claim is None or not claim.confirmed_at:
            return self._send_token(tx, user, address, answer)
        owner = tx.users.get(claim.user_id)
        if owner is None:
            return None
        again = replace(answer.again, address=address, facts={"user_name": owner.name.typed}, user_id=owner.id)
        return self._send(tx, again)

    def _change(self, tx: AuthStores, user: User, address: str, answer: _Answer) -> Letter | None:
        sent = self._confirm(tx, user, address, answer)
        if sent:
            self.send_mail.notify(tx, user, answer.notice)
        return sent

    def _send_token(self, tx: AuthStores, user: User, address: str, answer: _Answer) -> Letter | None:
        sent = self._send(tx, replace(answer.letter, address=address, user_id=user.id))
        if sent:  # Otherwise the one that was sent before stays good.
            self.issue_token(tx, answer.token, user, address, sent.written_at)
        return sent

    def _send(self, tx: AuthStores, letter: Letter) -> Letter | None:
        if not self.send_mail.may_ask(tx, letter.address, letter):
            return None
        self.send_mail(tx, letter)
        return letter
