"""Second factors are asked for, met, set up and removed."""

from uuid import UUID

from authservice.domain.events.roots import AuditEvent, Name


class SecondFactorAsked(AuditEvent):
    """A login with the right password was answered with a challenge."""

    user_id: UUID


class CodeRefused(AuditEvent):
    """A code is wrong or was used, at a login, a step-up or while an app was set up."""

    user_id: UUID


class CodeThrottled(AuditEvent):
    """A code was not looked at, because of too many on the account."""

    user_id: UUID


class RecoveryCodeUsed(AuditEvent):
    """A recovery code was accepted in place of one of the app."""

    user_id: UUID


class SteppedUp(AuditEvent):
    """The user of the session proved once more who they are. `methods` are all by which they have."""

    user_id: UUID
    session_id: UUID
    methods: Name


class StepUpRefused(AuditEvent):
    """A step-up by a password that is wrong, or is not enough."""

    user_id: UUID
    session_id: UUID


class TotpShown(AuditEvent):
    """The secret of an authenticator app was shown to a user who is logged in. It counts for nothing yet."""

    user_id: UUID


class TotpEnrolled(AuditEvent):
    """An authenticator app was set up and confirmed."""

    user_id: UUID


class TotpRemoved(AuditEvent):
    """A user removed their authenticator app and their recovery codes."""

    user_id: UUID
    ended: int


class RecoveryCodesReplaced(AuditEvent):
    """A user had new recovery codes made."""

    user_id: UUID
