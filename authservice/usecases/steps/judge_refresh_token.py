"""What a presented refresh token is to its session."""

from datetime import datetime

from authservice.domain.session import Presented, Session
from authservice.domain.tokens import RefreshToken
from authservice.ports import RefreshTokens


def judge_refresh_token(
    refresh_tokens: RefreshTokens, token: RefreshToken, session: Session, now: datetime
) -> tuple[Presented, RefreshToken]:
    """Return what a token means at `now`, and, where it still counts, the current token of its session."""
    # Only as far back as the session remembers: nobody is to have us compute a chain of any length.
    heir = refresh_tokens.heir(token, session.generation) if session.knows(token.generation) else token
    return session.judge(heir.hash, token.generation, now), heir
