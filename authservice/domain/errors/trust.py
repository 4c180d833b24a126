"""Watching the revocations."""

from authservice.domain.errors.roots import AuthError


class ResumePointUnknown(AuthError):
    """The place in the history of revocations is not one of ours."""

    def __init__(self) -> None:
        super().__init__("The resume point is unknown here. Watch again without one, from a snapshot.")
