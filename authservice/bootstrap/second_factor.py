"""Puts the steps of the second factor together, which several areas share."""

from dataclasses import dataclass

from uuid6 import uuid7

from authservice.bootstrap.parts import Parts
from authservice.bootstrap.throttling import admit_code
from authservice.config import Settings
from authservice.domain.second_factor import SecondFactorPolicy
from authservice.ports import PasskeyCeremonies
from authservice.security.ceremony_tokens import KeyedCeremonyTokens
from authservice.security.recovery_codes import KeyedRecoveryCodes
from authservice.security.totp import SealedTotpCodes
from authservice.usecases.steps.admit_code import AdmitCode
from authservice.usecases.steps.begin_ceremony import BeginCeremony
from authservice.usecases.steps.enroll_totp import EnrollTotp
from authservice.usecases.steps.use_code import UseCode
from authservice.usecases.steps.use_passkey import UsePasskey


@dataclass(frozen=True, slots=True)
class SecondFactor:
    """The steps, ready to be used in stories. Live as long as the process."""

    policy: SecondFactorPolicy
    enroll: EnrollTotp
    use_code: UseCode
    admit_code: AdmitCode
    use_passkey: UsePasskey
    ceremony_tokens: KeyedCeremonyTokens
    begin_ceremony: BeginCeremony


def build(parts: Parts) -> SecondFactor:
    """Return the steps."""
    settings = parts.settings
    codes, recovery = SealedTotpCodes(parts.sealer, settings.issuer), KeyedRecoveryCodes(parts.fingerprints)
    tokens = KeyedCeremonyTokens(parts.fingerprints)
    return SecondFactor(
        policy=SecondFactorPolicy(settings.require_second_factor == "everybody", settings.roles_with_second_factor()),
        enroll=EnrollTotp(codes, recovery),
        use_code=UseCode(codes, recovery),
        admit_code=admit_code(parts),
        use_passkey=UsePasskey(_ceremonies(settings), parts.audit),
        ceremony_tokens=tokens,
        begin_ceremony=BeginCeremony(tokens, uuid7, parts.clock),
    )


def _ceremonies(settings: Settings) -> PasskeyCeremonies | None:
    if settings.passkey_domain is None:
        return None
    # Here, because it brings parsers of certificates and of CBOR, which only those need who have passkeys.
    from authservice.security.webauthn import WebAuthnCeremonies  # noqa: PLC0415

    return WebAuthnCeremonies(settings.passkey_domain, settings.origins(), settings.issuer)
