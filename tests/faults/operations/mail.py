"""The calls of AccountService that have mail sent, and those that bring what came by mail."""

from authservice.domain import events
from authservice.domain.deadline import Deadline
from authservice.domain.mail import OneTimeToken, Purpose
from authservice.domain.user import User
from authservice.ports import last_counts
from authservice.usecases.auth.register import Registration
from tests.faults.operations.area import Area, Operation
from tests.observed import OTHER_PASSWORD, PASSWORD
from tests.rpc.account.calling import Account

EVENTS = {
    "RequestPasswordReset": events.MailAsked.name,
    "ResetPassword": events.PasswordReset.name,
    "RequestEmailVerification": events.MailAsked.name,
    "VerifyEmail": events.EmailChanged.name,
    "ChangeEmail": events.EmailChangeAsked.name,
}


class MailOperations(Area):
    """Asks for mail, and spends one-time tokens."""

    def _request_password_reset(self) -> Operation:
        return self._asking(Account(self.channel), "RequestPasswordReset", user_name_or_email="somebody")

    def _request_email_verification(self) -> Operation:
        return self._asking(Account(self.channel), "RequestEmailVerification", user_name_or_email="somebody")

    def _change_email(self) -> Operation:
        _, account, _ = self._account()
        return self._asking(account, "ChangeEmail", new_email="new@example.com")

    def _asking(self, account: Account, method: str, **fields: str) -> Operation:
        before = self._read(lambda tx: tx.outbox.waiting())
        return Operation(
            lambda: account.call(method, **fields), lambda: self._read(lambda tx: tx.outbox.waiting()) - before
        )

    def _reset_password(self) -> Operation:
        user, token = self._token(Purpose.RESET)
        return self._proving(user, "ResetPassword", token=token.text, new_password=OTHER_PASSWORD)

    def _verify_email(self) -> Operation:
        user, token = self._token(Purpose.CHANGE_EMAIL)
        return self._proving(user, "VerifyEmail", token=token.text)

    def _token(self, purpose: Purpose) -> tuple[User, OneTimeToken]:
        """Return a new user, with a token that is good."""
        name, issue = self._name(), self.service.mail.deliver.answer_asked.issue_token
        address = f"{name}@example.com"
        user = self.service.auth.register(Registration(name, PASSWORD, address), Deadline.after(10))
        token, now = issue.new(purpose), self.service.parts.clock()
        self.audit.events.clear()
        to = address if purpose is Purpose.RESET else f"new-{address}"
        self.service.parts.database.transact(
            lambda tx: issue(tx, token, user, to, now), Deadline.after(10), settle=last_counts
        )
        return user, token

    def _proving(self, user: User, method: str, **fields: str) -> Operation:
        return Operation(
            lambda: Account(self.channel).call(method, **fields), lambda: self._user(user).secret_generation
        )
