"""Puts the area `admin` together."""

from authservice.bootstrap.mail import issue_token, send_mail
from authservice.bootstrap.parts import Parts
from authservice.security.emails import Emails
from authservice.security.user_names import PrecisNames
from authservice.usecases.admin import AdminStories
from authservice.usecases.admin.invite import Invite
from authservice.usecases.admin.operate_sessions import OperateSessions
from authservice.usecases.admin.operate_users import OperateUsers


def build(parts: Parts) -> AdminStories:
    """Return the area's stories."""
    names = PrecisNames()
    return AdminStories(
        operate_users=OperateUsers(parts.database, names, parts.clock, parts.audit),
        operate_sessions=OperateSessions(parts.database, names, parts.clock, parts.audit),
        invite=Invite(parts.database, Emails(), issue_token(parts), send_mail(parts), parts.audit),
    )
