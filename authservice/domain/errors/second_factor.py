"""The second factor, and what is asked for at a login."""

from authservice.domain.errors.roots import AuthError


class CodeInvalid(AuthError):
    """The code is wrong, too old, or was used."""

    def __init__(self) -> None:
        super().__init__(
            "The code is wrong, or was used. Wait for the next one of the app, or send another recovery code."
        )


class ChallengeOver(AuthError):
    """The challenge cannot be met any more: deliberately the same whatever has become of it."""

    def __init__(self) -> None:
        super().__init__("This was answered already, has taken too long, or too many answers. Begin anew.")


class MfaRequired(AuthError):
    """A password is not enough to prove this user."""

    def __init__(self) -> None:
        super().__init__("This account has a second factor. Send a code, or a passkey.")


class SecondFactorExists(AuthError):
    """An authenticator app is set up already."""

    def __init__(self) -> None:
        super().__init__("An authenticator app is set up already. Remove it first.")


class SecondFactorMissing(AuthError):
    """No authenticator app is set up, or none waits for its first code."""

    def __init__(self) -> None:
        super().__init__(
            "There is no authenticator app for this, or its secret was shown too long ago. Set one up first."
        )
