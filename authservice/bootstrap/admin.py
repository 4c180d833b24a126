"""Puts the area `admin` together."""

from authservice.bootstrap.parts import Parts
from authservice.security.user_names import PrecisNames
from authservice.usecases.admin import AdminStories
from authservice.usecases.admin.operate_users import OperateUsers


def build(parts: Parts) -> AdminStories:
    """Return the area's stories."""
    return AdminStories(OperateUsers(parts.database, PrecisNames(), parts.clock, parts.audit))
