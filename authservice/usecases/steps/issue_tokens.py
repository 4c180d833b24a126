"""The tokens that Login, Refresh and StepUp hand out."""

from dataclasses import dataclass
from datetime import datetime

from authservice.domain.session import Session, SessionLimits
from authservice.domain.tokens import AccessToken, RefreshToken, SessionTokens
from authservice.domain.user import User
from authservice.ports import AccessTokens


@dataclass(frozen=True, slots=True)
class IssueTokens:
    """Puts the tokens of a session together."""

    access_tokens: AccessTokens
    limits: SessionLimits

    def __call__(self, user: User, session: Session, refresh: RefreshToken, now: datetime) -> SessionTokens:
        """Return the tokens of a session that is live at `now`. Raises TokenTooLarge."""
        access = self.access_token(user, session, now)
        return SessionTokens(
            session_id=session.id,
            user_id=user.id,
            access_token=access.access_token,
            access_token_end=access.access_token_end,
            refresh_token=refresh.text,
            refresh_token_end=session.idle_end,
            session_end=session.absolute_end,
            erase_at=user.erase_at,
        )

    def access_token(self, user: User, session: Session, now: datetime) -> AccessToken:
        """Return the access token alone. Raises TokenTooLarge."""
        end = self.limits.access_token_end(now, session.absolute_end).replace(microsecond=0)
        return AccessToken(self.access_tokens.issue(user, session, now, end), end)
