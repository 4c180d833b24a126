"""The book that the other modules of this package write cases into.

What is expected is said where a case is written, by hand, after docs/local-verification.md;
nothing here judges a token.
"""

import base64
import json
from dataclasses import dataclass, field
from typing import Any

from tests.vectors.keys import KINDS, Signer, own

NOW = 1767268800
"""2026-01-01T12:00:00Z."""
ISSUER, AUDIENCE = "https://auth.example", "internal"
USER, OTHER_USER = "0191d5a5-0000-7000-8000-000000000001", "0191d5a5-0000-7000-8000-00000000000a"
SESSION, OTHER_SESSION = "0191d5a5-0000-7000-8000-000000000002", "0191d5a5-0000-7000-8000-00000000000b"
AUTHENTICATED = {"authenticated": True}

GOOD_CLAIMS: dict[str, Any] = {
    "iss": ISSUER,
    "sub": USER,
    "aud": AUDIENCE,
    "client_id": "first-party",
    "exp": NOW + 900,
    "iat": NOW,
    "nbf": NOW,
    "jti": "token-one",
    "sid": SESSION,
    "auth_time": NOW,
    "gen": 3,
    "amr": ["pwd"],
    "preferred_username": "Ada",
    "roles": ["reader"],
}

STATUSES = {
    "TOKEN_MISSING": "UNAUTHENTICATED",
    "TOKEN_INVALID": "UNAUTHENTICATED",
    "TOKEN_EXPIRED": "UNAUTHENTICATED",
    "TOKEN_NOT_YET_VALID": "UNAUTHENTICATED",
    "SESSION_ENDED": "UNAUTHENTICATED",
    "TOKEN_OUTDATED": "UNAUTHENTICATED",
    "VERIFICATION_UNAVAILABLE": "UNAVAILABLE",
    "METHOD_WITHOUT_RULE": "PERMISSION_DENIED",
    "ROLE_MISSING": "PERMISSION_DENIED",
    "MFA_REQUIRED": "PERMISSION_DENIED",
    "AUTHENTICATION_TOO_OLD": "PERMISSION_DENIED",
}
"""Every reason that a verifier may give, and the status that goes with it."""


def b64(data: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    """Return what base64url without padding stands for."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def to_json(value: Any) -> bytes:
    """Return compact JSON in ASCII."""
    return json.dumps(value, separators=(",", ":")).encode()


def claims_with(**fragments: str | None) -> bytes:
    """Return the good claims as JSON, with some values replaced by raw JSON texts, or left out where that is None."""
    texts = {name: json.dumps(value) for name, value in GOOD_CLAIMS.items()} | fragments
    return ("{" + ",".join(f'"{name}":{text}' for name, text in texts.items() if text is not None) + "}").encode()


def claims(**changes: Any) -> bytes:
    """Return the good claims as JSON, with some values changed."""
    return to_json(GOOD_CLAIMS | changes)


def token(payload: bytes | None = None, header: bytes | dict[str, Any] | None = None, key: Signer | None = None) -> str:
    """Return a token that is rightly signed (with ES256 if `key` is not given), and good unless told otherwise."""
    signer = key or own("ES256")
    head = header if isinstance(header, bytes) else to_json(header or signer.header())
    signed = f"{b64(head)}.{b64(payload if payload is not None else claims())}"
    return f"{signed}.{b64(signer.sign(signed.encode()))}"


def parts_of_good_tokens() -> dict[str, str]:
    """Return what good tokens are made of, by name."""
    headers = {f"header {kind}": b64(to_json(own(kind).header())) for kind in KINDS}
    return headers | {"good claims": b64(claims())}


@dataclass
class Page:
    """What one writer says, which becomes one file."""

    about: str
    key_set_cases: list[dict[str, Any]] = field(default_factory=list)
    rule_cases: list[dict[str, Any]] = field(default_factory=list)
    cases: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Book:
    """All pages, and what they share: texts (tokens and parts of them), keys and key sets, each by its name."""

    texts: dict[str, str] = field(default_factory=parts_of_good_tokens)
    keys: dict[str, Any] = field(default_factory=dict)
    key_sets: dict[str, Any] = field(default_factory=dict)
    pages: dict[str, Page] = field(default_factory=dict)

    def begin(self, name: str, about: str) -> None:
        """Open the page that what follows is written on."""
        self.pages[name] = self._page = Page(about)

    @property
    def key_set_cases(self) -> list[dict[str, Any]]:
        """Those of all pages."""
        return [case for page in self.pages.values() for case in page.key_set_cases]

    @property
    def rule_cases(self) -> list[dict[str, Any]]:
        """Those of all pages."""
        return [case for page in self.pages.values() for case in page.rule_cases]

    @property
    def cases(self) -> list[dict[str, Any]]:
        """Those of all pages, about calls."""
        return [case for page in self.pages.values() for case in page.cases]

    def named(self, name: str, text: str) -> dict[str, str]:
        """Keep a token that several cases use, and return how they refer to it."""
        assert self.texts.setdefault(name, text) == text, name
        return {"name": name}

    def good(self, kind: str = "ES256") -> dict[str, str]:
        """Return the reference to the good token of a kind of key."""
        return self.named(f"good {kind}", token(key=own(kind)))

    def key_set(self, name: str, key_set: dict[str, Any], *, accepted: bool) -> None:
        """Add a case about a key set."""
        self._page.key_set_cases.append({"name": name, "key_set": key_set, "accepted": accepted})

    def rule(self, name: str, rule: dict[str, Any], *, accepted: bool) -> None:
        """Add a case about a rule."""
        self._page.rule_cases.append({"name": name, "rule": rule, "accepted": accepted})

    def accepts(self, name: str, checks: str, sent: Any = None, *, user_id: str | None = USER, **setting: Any) -> None:
        """Add a case in which the call passes, with the identity of `user_id`."""
        self._add(name, checks, sent, {"status": "OK"} | ({"user_id": user_id} if user_id else {}), setting)

    def refuses(
        self,
        name: str,
        checks: str,
        sent: Any = None,
        reason: str = "TOKEN_INVALID",
        *,
        words: str | None = None,
        **setting: Any,
    ) -> None:
        """Add a case in which the call is refused, in the words of its reason or of another one."""
        expect = {"status": STATUSES[reason], "reason": reason} | ({"words": words} if words else {})
        self._add(name, checks, sent, expect, setting)

    def observes(
        self, name: str, checks: str, sent: Any, reason: str, *, user_id: str | None = None, **setting: Any
    ) -> None:
        """Add a case in which the call passes because its rule only observes, and the would-be refusal is counted."""
        expect = {"status": "OK", "observed": reason} | ({"user_id": user_id} if user_id else {})
        self._add(name, checks, sent, expect, setting)

    def _add(self, name: str, checks: str, sent: Any, expect: dict[str, str], setting: dict[str, Any]) -> None:
        case = {"now": NOW, "keys": "own", "view_age": 0, "rule": AUTHENTICATED} | setting
        if sent is not None:
            case["token"] = sent
        self._page.cases.append(case | {"name": name, "checks": checks.split(), "expect": expect})
