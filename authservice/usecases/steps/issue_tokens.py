"""The tokens that Login and Refresh hand out."""

from dataclasses import dataclass
from datetime import datetime

from authservice.domain.session import Session, SessionLimits
from authservice.domain.tokens import RefreshToken, SessionTokens
from authservice.domain.user import User
from authservice.ports import AccessTokens


@dataclass(frozen=True, slots=True)
class IssueTokens:
    """Puts the tokens of a session together."""

    access_tokens: AccessTokens
    limits: SessionLimits

    def __call__(self, user: User, session: Session, refresh: RefreshToken, now: datetime) -> SessionTokens:
        """Return the tokens of a session that is live at `now`. Raises TokenTooLarge."""
        access_end = self.limits.access_token_end(now, session.absolute_end).replace(microsecond=0)
        return SessionTokens(
            session_id=session.id,
            user_id=user.id,
            access_token=self.access_tokens.issue(user, session, now, access_end),
            access_token_end=access_end,
            refresh_token=refresh.text,
            refresh_token_end=session.idle_end,
            session_end=session.absolute_end,
            erase_at=user.erase_at,
        )
