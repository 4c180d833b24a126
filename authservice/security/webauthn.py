"""Passkeys, as the library `webauthn` judges them (WebAuthn level 3).

No attestation is asked for: it would tell which make a device is of, and nothing here turns on that. What is signed is
the hash of a token that is given out once and that nobody else knows.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

import webauthn
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from webauthn.helpers import (
    base64url_to_bytes,
    decode_credential_public_key,
    decoded_public_key_to_cryptography,
    parse_client_data_json,
)
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from authservice.domain.errors import PasskeyInvalid
from authservice.domain.passkey import CEREMONY_LIFE, NewPasskey, Passkey, Signed
from authservice.domain.user import User

_MILLISECONDS = int(CEREMONY_LIFE.total_seconds() * 1000)
_MOST_BYTES_OF_AN_ID = 1023
"""WebAuthn section 4, credential id."""
_MOST_BYTES_OF_A_KEY = 1024
"""An RSA key of 4,096 bits has some 530."""
_LEAST_RSA_BITS = 2048
_TRANSPORTS = {each.value for each in AuthenticatorTransport}


@dataclass(frozen=True, slots=True)
class WebAuthnCeremonies:
    """See ports.PasskeyCeremonies. Lives as long as the process.

    Args:
        domain: the relying party's id.
        origins: of the pages whose answers count.
        service: what devices call this service.
    """

    domain: str
    origins: tuple[str, ...]
    service: str

    def creation_options(self, token: str, user: User, known: Sequence[Passkey]) -> str:
        """Return what `navigator.credentials.create` is given."""
        options = webauthn.generate_registration_options(
            rp_id=self.domain,
            rp_name=self.service,
            user_id=user.id.bytes,
            user_name=user.name.typed,
            user_display_name=user.display_name or user.name.typed,
            challenge=_challenge(token),
            timeout=_MILLISECONDS,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.PREFERRED, user_verification=UserVerificationRequirement.PREFERRED
            ),
            exclude_credentials=[_descriptor(each) for each in known],
        )
        return webauthn.options_to_json(options)

    def created(self, token: str, answer: str) -> NewPasskey:
        """Return what a device has made. Raises PasskeyInvalid."""
        try:
            made = webauthn.verify_registration_response(
                credential=answer,
                expected_challenge=_challenge(token),
                expected_rp_id=self.domain,
                expected_origin=list(self.origins),
            )
            transports = _transports(answer)
            self._require_same_origin(answer)
            key = decoded_public_key_to_cryptography(decode_credential_public_key(made.credential_public_key))
        except _WRONG:
            raise PasskeyInvalid from None
        # It has been read, so a point is on its curve. Small numbers anybody can factor.
        if isinstance(key, RSAPublicKey) and key.key_size < _LEAST_RSA_BITS:
            raise PasskeyInvalid
        if len(made.credential_id) > _MOST_BYTES_OF_AN_ID or len(made.credential_public_key) > _MOST_BYTES_OF_A_KEY:
            raise PasskeyInvalid
        return NewPasskey(
            made.credential_id, made.credential_public_key, made.sign_count, transports, made.credential_backed_up
        )

    def request_options(self, token: str, allowed: Sequence[Passkey] = ()) -> str:
        """Return what `navigator.credentials.get` is given."""
        verification = UserVerificationRequirement.PREFERRED if allowed else UserVerificationRequirement.REQUIRED
        options = webauthn.generate_authentication_options(
            rp_id=self.domain,
            challenge=_challenge(token),
            timeout=_MILLISECONDS,
            allow_credentials=[_descriptor(each) for each in allowed],
            user_verification=verification,
        )
        return webauthn.options_to_json(options)

    def credential_id(self, answer: str) -> bytes:
        """Return by what a device knows the key. Raises PasskeyInvalid."""
        try:
            return base64url_to_bytes(json.loads(answer)["rawId"])
        except _WRONG:
            raise PasskeyInvalid from None

    def signed(self, token: str, answer: str, passkey: Passkey, *, must_verify: bool) -> Signed:
        """Return a signature of this passkey. Raises PasskeyInvalid."""
        try:
            found = webauthn.verify_authentication_response(
                credential=answer,
                expected_challenge=_challenge(token),
                expected_rp_id=self.domain,
                expected_origin=list(self.origins),
                credential_public_key=passkey.public_key,
                # One that has not grown is refused by the library. Here it is noted: see Passkey.is_behind.
                credential_current_sign_count=0,
                require_user_verification=must_verify,
            )
            self._require_same_origin(answer)
        except _WRONG:
            raise PasskeyInvalid from None
        if found.credential_id != passkey.credential_id:
            raise PasskeyInvalid
        return Signed(found.new_sign_count, found.credential_backed_up, found.user_verified)

    def _require_same_origin(self, answer: str) -> None:
        """Refuse what was asked from inside another page (WebAuthn section 13.4.2). Raises PasskeyInvalid."""
        told = parse_client_data_json(base64url_to_bytes(json.loads(answer)["response"]["clientDataJSON"]))
        if told.cross_origin:
            raise PasskeyInvalid


# Whatever else a text of strangers makes the library raise is a wrong text as well.
_WRONG = (
    WebAuthnException,
    ValueError,
    LookupError,
    ArithmeticError,
    TypeError,
    AttributeError,
    EOFError,
    RecursionError,
)


def _challenge(token: str) -> bytes:
    return hashlib.sha256(b"webauthn\0" + token.encode()).digest()


def _descriptor(passkey: Passkey) -> PublicKeyCredentialDescriptor:
    transports = [AuthenticatorTransport(name) for name in passkey.transports if name in _TRANSPORTS]
    return PublicKeyCredentialDescriptor(id=passkey.credential_id, transports=transports or None)


def _transports(answer: str) -> tuple[str, ...]:
    told = json.loads(answer)["response"].get("transports") or []
    return tuple(sorted({name for name in told if name in _TRANSPORTS}))
