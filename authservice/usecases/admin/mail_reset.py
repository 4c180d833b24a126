"""Helping somebody who cannot log in: a mail with a token that sets a password."""

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from authservice.domain import events
from authservice.domain.deadline import Deadline
from authservice.domain.mail import Letter, MailKind, OneTimeToken, Purpose
from authservice.domain.user import User
from authservice.ports import Audit, AuthStores, Database, NameRules, last_counts
from authservice.usecases.admin.operate_users import held_user_named
from authservice.usecases.steps.one_time_tokens import IssueToken
from authservice.usecases.steps.own_claim import own_claim
from authservice.usecases.steps.send_mail import SendMail


class NoAddress(Exception):
    """The account has no address of its own. For operators only."""


@dataclass(frozen=True, slots=True)
class MailReset:
    """Has the mail sent that RequestPasswordReset has sent, however many were before. Nothing changes yet."""

    database: Database[AuthStores]
    names: NameRules
    issue_token: IssueToken
    send_mail: SendMail
    audit: Audit

    def __call__(self, user_name: str, deadline: Deadline) -> datetime:
        """Have it sent, and return until when its token is good.

        Raises NoSuchUser, NoAddress, FieldRejected, DeadlineTooShort, StorageUnavailable, Conflict.
        """
        name, token = self.names.read(user_name), self.issue_token.new(Purpose.RESET)
        letter = self.send_mail.draft(MailKind.RESET, self.issue_token.lives[Purpose.RESET], token=token.text)

        def send(tx: AuthStores) -> UUID:
            return self._send(tx, held_user_named(tx, name), token, letter)

        user_id = self.database.transact(send, deadline, settle=last_counts)
        self.audit.record(events.ResetMailed(user_id=user_id, mail_id=letter.id))
        return letter.expires_at

    def _send(self, tx: AuthStores, user: User, token: OneTimeToken, letter: Letter) -> UUID:
        if user.email is None or own_claim(tx, user) is None:
            raise NoAddress
        self.send_mail(tx, replace(letter, address=user.email, user_id=user.id))
        self.issue_token(tx, token, user, user.email, letter.written_at)
        return user.id
