"""Puts the area `admin` together."""

from datetime import timedelta

from uuid6 import uuid7

from authservice.bootstrap.mail import issue_token, send_mail
from authservice.bootstrap.parts import Parts
from authservice.bootstrap.passwords import passwords
from authservice.security.emails import Emails
from authservice.security.one_time_passwords import new_one_time_password
from authservice.security.passwords import imported_hash
from authservice.security.user_names import PrecisNames
from authservice.usecases.admin import AdminStories
from authservice.usecases.admin.import_users import ImportUsers
from authservice.usecases.admin.invite import Invite
from authservice.usecases.admin.mail_reset import MailReset
from authservice.usecases.admin.make_one_time_password import MakeOneTimePassword
from authservice.usecases.admin.operate_sessions import OperateSessions
from authservice.usecases.admin.operate_users import OperateUsers
from authservice.usecases.admin.set_email import SetEmail
from authservice.usecases.steps.set_password import SetPassword


def build(parts: Parts) -> AdminStories:
    """Return the area's stories."""
    names, emails = PrecisNames(), Emails()
    issue, send = issue_token(parts), send_mail(parts)
    return AdminStories(
        operate_users=OperateUsers(parts.database, names, parts.fingerprints, send, parts.clock, parts.audit),
        operate_sessions=OperateSessions(parts.database, names, parts.clock, parts.audit),
        make_one_time_password=MakeOneTimePassword(
            parts.database,
            names,
            passwords(parts),
            new_one_time_password,
            timedelta(seconds=parts.settings.one_time_password_seconds),
            SetPassword(send),
            parts.clock,
            parts.audit,
        ),
        import_users=ImportUsers(
            parts.database, names, emails, imported_hash, new_id=uuid7, clock=parts.clock, audit=parts.audit
        ),
        mail_reset=MailReset(parts.database, names, issue, send, parts.audit),
        invite=Invite(parts.database, emails, issue, send, parts.fingerprints, parts.clock, parts.audit),
        set_email=SetEmail(parts.database, names, emails, issue, send, parts.audit),
    )
