"""Passkeys that do not prove anybody, or cannot be added."""

from authservice.domain.errors.roots import AuthError


class PasskeysOff(AuthError):
    """The service was not told where its users have passkeys."""

    def __init__(self) -> None:
        super().__init__("There are no passkeys here. An operator sets AUTHSERVICE_PASSKEY_DOMAIN.")


class PasskeyInvalid(AuthError):
    """The answer of the browser proves nobody: deliberately the same whatever is wrong with it."""

    def __init__(self) -> None:
        super().__init__("This passkey does not fit. Begin anew, with a passkey of this account.")


class PasskeyExists(AuthError):
    """The passkey is registered already."""

    def __init__(self) -> None:
        super().__init__("This passkey is registered already.")


class TooManyPasskeys(AuthError):
    """The user has as many as anybody may."""

    def __init__(self) -> None:
        super().__init__("This account has as many passkeys as it may. Remove one first.")
