"""One-time tokens, and what has to be confirmed with one."""

from authservice.domain.errors.roots import AuthError


class OneTimeTokenInvalid(AuthError):
    """The token was never issued, has been spent or replaced, is over, or is about what has changed since."""

    def __init__(self) -> None:
        super().__init__("The token is not good, or not any more. Ask for another one.")


class EmailNotConfirmed(AuthError):
    """The password is right, and the address of the account has to be confirmed first."""

    def __init__(self) -> None:
        super().__init__(
            "Confirm the address of this account first. RequestEmailVerification has a mail sent with a token."
        )
