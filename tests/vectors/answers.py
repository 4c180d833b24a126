"""What the auth server says: answers of Verify, and rules of the view, in the form that the file has them."""

from datetime import datetime, timezone
from typing import Any

from tests.vectors.book import GOOD_CLAIMS, NOW, SESSION, USER

UNAVAILABLE = {"status": "UNAVAILABLE"}
ANSWERS = ("TOKEN_MISSING", "TOKEN_INVALID", "TOKEN_EXPIRED", "TOKEN_NOT_YET_VALID", "TOKEN_OUTDATED", "SESSION_ENDED")
"""The reasons that Verify gives."""


def timestamp(seconds: int) -> str:
    """Return the JSON form of a google.protobuf.Timestamp."""
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def identity(**changes: Any) -> dict[str, Any]:
    """Return an answer of Verify: the identity of the good token, with changes."""
    known = {
        "userId": USER,
        "userName": GOOD_CLAIMS["preferred_username"],
        "sessionId": SESSION,
        "roles": GOOD_CLAIMS["roles"],
        "authTime": timestamp(NOW),
        "authMethods": GOOD_CLAIMS["amr"],
        "expireTime": timestamp(NOW + 900),
    }
    return {"identity": known | changes, "server_time": NOW}


def refused(reason: str) -> dict[str, str]:
    """Return an answer of Verify that refuses."""
    return {"status": "UNAUTHENTICATED", "reason": reason}


def ended(session_id: str = SESSION, expire: int = NOW + 3600, seq: int = 1) -> dict[str, Any]:
    """Return the rule that a session is over. Numbers of 64 bits are texts in the JSON form of Protobuf."""
    return {"seq": str(seq), "sessionId": session_id, "expireTime": timestamp(expire)}


def outdated(generation: int, user_id: str = USER, expire: int = NOW + 3600, seq: int = 1) -> dict[str, Any]:
    """Return the rule that the tokens of a user below a generation are outdated."""
    subject = {"userId": user_id, "minGeneration": generation}
    return {"seq": str(seq), "outdatedTokens": subject, "expireTime": timestamp(expire)}
