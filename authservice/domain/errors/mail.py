"""One-time tokens."""

from authservice.domain.errors.roots import AuthError


class OneTimeTokenInvalid(AuthError):
    """The token was never issued, has been spent or replaced, is over, or is about what has changed since."""

    def __init__(self) -> None:
        super().__init__("The token is not good, or not any more. Ask for another one.")
