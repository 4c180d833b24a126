"""Puts the area `admin` together."""

from uuid6 import uuid7

from authservice.bootstrap.parts import Parts
from authservice.security.emails import Emails
from authservice.security.passwords import imported_hash
from authservice.security.user_names import PrecisNames
from authservice.usecases.admin import AdminStories
from authservice.usecases.admin.import_users import ImportUsers
from authservice.usecases.admin.operate_sessions import OperateSessions
from authservice.usecases.admin.operate_users import OperateUsers


def build(parts: Parts) -> AdminStories:
    """Return the area's stories."""
    names = PrecisNames()
    return AdminStories(
        operate_users=OperateUsers(parts.database, names, parts.clock, parts.audit),
        operate_sessions=OperateSessions(parts.database, names, parts.clock, parts.audit),
        import_users=ImportUsers(
            parts.database, names, Emails(), imported_hash, new_id=uuid7, clock=parts.clock, audit=parts.audit
        ),
    )
