"""Taking an access token apart, step by step, to see which step it fails."""

from datetime import datetime
from typing import Any

from authclient import TokenRefused, TokenVerifier
from authclient._tokens.grammar import check_form, header, payload
from authclient._tokens.verifier import UnknownKey

from authservice.domain.check import Check
from authservice.domain.signing_key import SigningKey
from authservice.domain.tokens import Identity
from authservice.security.access_tokens import identity_of
from authservice.security.key_ring import Keys


class TokenExamination:
    """See ports.Examination. Lives as long as the process."""

    def __init__(self, issuer: str, audience: str, keys: Keys) -> None:
        self._issuer = issuer
        self._audience = audience
        self._keys = keys

    def __call__(self, token: str, keys: list[SigningKey], now: datetime) -> tuple[list[Check], Identity | None]:
        """Return what each step has come to, and whose token it is if that can be believed."""
        try:
            check_form(token)
            said = payload(token)
        except TokenRefused as refused:
            return [Check("form", False, str(refused))], None
        checks = [Check("form", True, f"{len(token)} bytes"), self._key(str(header(token)["kid"]), keys)]
        # For whatever issuer and audience it names, so that a bad signature is told apart from a mix-up of services.
        verifier = TokenVerifier(_text(said, "iss"), _text(said, "aud"), self._keys.find)
        try:
            claims = verifier.read(token)
        except UnknownKey:
            return [*checks, Check("signature and claims", None, "there is no key to check them with")], None
        except TokenRefused as refused:
            return [*checks, Check("signature and claims", False, str(refused))], None
        checks.append(Check("signature and claims", True, f"signed with {claims.key_id}"))
        checks.append(_equal("issuer", claims.issuer, self._issuer))
        checks.append(_equal("audience", claims.audience, self._audience))
        life = f"from {claims.issued_at.isoformat()} to {claims.expires_at.isoformat()}"
        try:
            verifier.check_times(claims, now)
            checks.append(Check("time", True, life))
        except TokenRefused as refused:
            checks.append(Check("time", False, f"{refused}: {life}, now {now.isoformat(timespec='seconds')}"))
        return checks, identity_of(claims)

    def _key(self, kid: str, keys: list[SigningKey]) -> Check:
        found = next((key for key in keys if key.kid == kid), None)
        if found:
            return Check(
                "key", True, f"{kid} is {found.state.value}, made {found.created_at.isoformat('T', 'seconds')}"
            )
        if self._keys.find(kid):
            return Check("key", True, f"{kid} is the shared secret")
        return Check("key", False, f"{kid!r} is none of ours: removed, or of another service")


def _text(said: dict[str, Any], name: str) -> str:
    return str(said.get(name) or "?")


def _equal(name: str, said: str, ours: str) -> Check:
    return Check(name, said == ours, said if said == ours else f"it says {said!r}, this service says {ours!r}")
