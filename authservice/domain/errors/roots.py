"""The root of all conditions, and those that any call may meet."""

import random
from dataclasses import dataclass

AWAY_SECONDS = (0.5, 1.0)
"""Least and most that a caller waits for the database before it asks again."""


class AuthError(Exception):
    """Root of the conditions below.

    The text is for people: what is wrong and what to do next, without any secret or input.
    """

    def forget_frames(self) -> None:
        """Forget the frames that the condition and its causes came through, once it has become a value.

        They hold the calls that are answered together, and the list that the condition is in: a ring, which stays
        until the garbage collector comes, with all that grpc keeps of those calls and their connections.
        """
        error: BaseException | None = self
        while error:
            error.__traceback__ = None
            error = error.__context__


@dataclass(frozen=True, slots=True)
class Violation:
    """What is wrong with one field of a request. Never holds the value.

    `description` is for people. `reason` is for programs, in capital letters, and empty where nobody branches on it.
    """

    field: str
    description: str
    reason: str = ""


class InvalidInput(AuthError):
    """The request cannot be carried out as it stands."""

    def __init__(self, *violations: Violation) -> None:
        super().__init__("The request is not valid. Correct the fields that the details name.")
        self.violations = violations


class NotPermitted(AuthError):
    """The caller is known and may not do this."""

    def __init__(self, text: str = "This is not permitted.") -> None:
        super().__init__(text)


class MethodWithoutRule(AuthError):
    """The RPC says nowhere who may call it."""

    def __init__(self) -> None:
        super().__init__(
            "This method is refused to everybody, because its server has no rule for it. The log there says why."
        )


class DeadlineTooShort(AuthError):
    """The caller's deadline leaves no time for the work, or the caller has gone."""

    def __init__(self) -> None:
        super().__init__("The deadline leaves no time for this call. Nothing was changed; allow more time.")


class RequestMissing(AuthError):
    """The headers of a call came, and its request did not."""

    def __init__(self) -> None:
        super().__init__("The request did not arrive in time. Send the call again, on another connection if need be.")


class Conflict(AuthError):
    """The change collided with others on every attempt."""

    def __init__(self) -> None:
        super().__init__("The change collided with others on every attempt. Nothing was changed; try again.")


class Unavailable(AuthError):
    """Root of what passes by itself. `retry_after` is in seconds."""

    def __init__(self, text: str, retry_after: float) -> None:
        super().__init__(text)
        self.retry_after = retry_after


class Overloaded(Unavailable):
    """More password work is queued than can be done in time, or more watchers are there than are admitted."""

    def __init__(self, retry_after: float) -> None:
        super().__init__("The service is busy. Wait as long as the details say, then try again.", retry_after)


class ShuttingDown(Unavailable):
    """The server is stopping."""

    def __init__(self) -> None:
        super().__init__("This server is stopping. Connect again.", 0.1)


class StorageUnavailable(Unavailable):
    """The database is away, failing over or busy, or contradicts this server about the time."""

    def __init__(
        self,
        retry_after: float | None = None,
        text: str = "The database does not answer. Try again as the details say.",
    ) -> None:
        # At random, so that those who were refused together do not come back together, and one of them comes soon.
        at_random = random.uniform(*AWAY_SECONDS)  # noqa: S311  # spreads, hides nothing
        super().__init__(text, at_random if retry_after is None else retry_after)


class FieldRejected(Exception):
    """One value is not acceptable.

    The text says why, for people, without the value. Use cases turn it into a Violation.
    """

    def __init__(self, text: str, reason: str = "") -> None:
        super().__init__(text)
        self.reason = reason
