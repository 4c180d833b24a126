"""Giving an account the address that its owner can read now."""

from dataclasses import dataclass, replace

from authservice.domain import events
from authservice.domain.deadline import Deadline
from authservice.domain.mail import Letter, MailKind, OneTimeToken, Purpose
from authservice.domain.session import SessionEnd
from authservice.domain.user import User
from authservice.ports import Audit, AuthStores, Database, EmailRules, NameRules
from authservice.usecases.admin.invite import AlreadyThere
from authservice.usecases.admin.operate_users import held_user_named
from authservice.usecases.steps.one_time_tokens import IssueToken
from authservice.usecases.steps.send_mail import SendMail

Outcome = tuple[User, int | None]
"""Whose address was set, and how many live sessions ended; None where it was theirs already."""


@dataclass(frozen=True, slots=True)
class SetEmail:
    """Sets the address at once, and has a mail sent there with a token that confirms it. The old one is told."""

    database: Database[AuthStores]
    names: NameRules
    emails: EmailRules
    issue_token: IssueToken
    send_mail: SendMail
    audit: Audit

    def __call__(self, user_name: str, email: str, deadline: Deadline) -> int | None:
        """Set it. Returns how many live sessions ended; None if the account has had the address before.

        Raises NoSuchUser, AlreadyThere, FieldRejected, DeadlineTooShort, StorageUnavailable, Conflict.
        """
        name, address = self.names.read(user_name), self.emails.read(email)
        token = self.issue_token.new(Purpose.VERIFY_EMAIL)
        draft = self.send_mail.draft(
            MailKind.VERIFY_EMAIL, self.issue_token.lives[Purpose.VERIFY_EMAIL], token=token.text
        )
        letter, notice = replace(draft, address=address), self.send_mail.draft(MailKind.EMAIL_CHANGED)

        def change(tx: AuthStores) -> Outcome:
            return self._set(tx, held_user_named(tx, name), token, letter, notice)

        user, ended = self.database.transact(change, deadline, settle=_settle)
        if ended is not None:
            self.audit.record(events.EmailSetByOperator(user_id=user.id, ended=ended))
        return ended

    def _set(self, tx: AuthStores, user: User, token: OneTimeToken, letter: Letter, notice: Letter) -> Outcome:
        claim = tx.email_claims.name(letter.address, user.id)
        if claim.confirmed_at and claim.user_id != user.id:
            raise AlreadyThere
        if user.email == letter.address:
            return user, None
        self.send_mail.notify(tx, user, notice)  # While the address that was is theirs.
        tx.users.set_email(user, letter.address)
        tx.email_claims.release(user.id, keep=letter.address)
        changed = replace(user, email=letter.address, secret_generation=user.secret_generation + 1)
        self.send_mail(tx, replace(letter, user_id=user.id))
        self.issue_token(tx, token, changed, letter.address, letter.written_at)
        return user, tx.sessions.end_all(user.id, SessionEnd.EMAIL_CHANGED, letter.written_at)


def _settle(earlier: Outcome, last: Outcome) -> Outcome:
    # What the earlier run set, the last one finds set.
    return last if earlier[1] is None else earlier
