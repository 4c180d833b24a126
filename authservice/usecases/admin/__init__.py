"""What operators do: one story per file."""

from dataclasses import dataclass

from authservice.usecases.admin.import_users import ImportUsers
from authservice.usecases.admin.invite import Invite
from authservice.usecases.admin.mail_reset import MailReset
from authservice.usecases.admin.make_one_time_password import MakeOneTimePassword
from authservice.usecases.admin.operate_sessions import OperateSessions
from authservice.usecases.admin.operate_users import OperateUsers
from authservice.usecases.admin.set_email import SetEmail


@dataclass(frozen=True, slots=True)
class AdminStories:
    """The stories of this area, ready to be called. Live as long as the process."""

    operate_users: OperateUsers
    operate_sessions: OperateSessions
    import_users: ImportUsers
    make_one_time_password: MakeOneTimePassword
    invite: Invite
    mail_reset: MailReset
    set_email: SetEmail
