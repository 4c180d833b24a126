"""What operators do: one story per file."""

from dataclasses import dataclass

from authservice.usecases.admin.invite import Invite
from authservice.usecases.admin.operate_sessions import OperateSessions
from authservice.usecases.admin.operate_users import OperateUsers


@dataclass(frozen=True, slots=True)
class AdminStories:
    """The stories of this area, ready to be called. Live as long as the process."""

    operate_users: OperateUsers
    operate_sessions: OperateSessions
    invite: Invite
