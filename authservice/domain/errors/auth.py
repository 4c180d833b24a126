"""Accounts, credentials and tokens."""

from authservice.domain.errors.roots import AuthError, Unavailable


class UserNameTaken(AuthError):
    """The canonical form of the user name belongs to another account."""

    def __init__(self) -> None:
        super().__init__("This user name is taken. Choose another one.")


class RegistrationClosed(AuthError):
    """Nobody may register."""

    def __init__(self) -> None:
        super().__init__("Registration is closed. Ask an operator for an account.")


class CredentialsInvalid(AuthError):
    """User name or password is wrong, or the account is disabled: deliberately the same for all three."""

    def __init__(self) -> None:
        super().__init__("User name or password is wrong.")


class Throttled(Unavailable):
    """There were too many attempts: on this account, or from this network. The same text for every limit."""

    def __init__(self, retry_after: float) -> None:
        super().__init__("There were too many attempts. Wait as long as the details say, then try again.", retry_after)


NOT_ACCEPTED = "The token is not accepted. Refresh it or log in again."


class TokenRejected(AuthError):
    """Root of all refusals of a token.

    One text for all, so that only holders of a signed token learn more than the reason's name. Another one is for calls
    that bring no token as it has to be brought: what is wrong with those is no secret.
    """

    def __init__(self, text: str = NOT_ACCEPTED) -> None:
        super().__init__(text)


class TokenMissing(TokenRejected):
    """The call needs a token and has none."""

    def __init__(self) -> None:
        super().__init__("There is no access token. Send one.")


class TokenInvalid(TokenRejected):
    """The token is not one of ours."""


class TokenExpired(TokenRejected):
    """The token was good and its time is over."""


class TokenNotYetValid(TokenRejected):
    """The token's time has not begun."""


class SessionEnded(TokenRejected):
    """The token's session is over."""


class TokenOutdated(TokenRejected):
    """What the token says about the user has changed since."""


class RefreshTokenReused(TokenRejected):
    """The refresh token had been spent before its grace window, so its session was ended."""


class TokenTooLarge(AuthError):
    """The access token would not fit its budget."""

    def __init__(self, size: int, budget: int) -> None:
        super().__init__(
            f"The access token would have {size} bytes, {budget} are allowed. Shorten the user name or the issuer, "
            "take roles away, or let the operator choose ES256."
        )


class PasswordCheckUnavailable(Unavailable):
    """What knows breached passwords does not answer, and no password is to be taken without it."""

    def __init__(self) -> None:
        super().__init__("New passwords cannot be checked right now. Nothing was changed; try again.", 5.0)


class PasswordChangeRequired(AuthError):
    """The password is a one-time password, and nothing else was wrong."""

    def __init__(self) -> None:
        super().__init__("This password is good for one login, which replaces it. Send a new one with it.")
