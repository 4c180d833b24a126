"""Puts the steps of the second factor together, which several areas share."""

from dataclasses import dataclass

from authservice.bootstrap.parts import Parts
from authservice.bootstrap.throttling import admit_code
from authservice.domain.second_factor import SecondFactorPolicy
from authservice.security.recovery_codes import KeyedRecoveryCodes
from authservice.security.totp import SealedTotpCodes
from authservice.usecases.steps.admit_code import AdmitCode
from authservice.usecases.steps.enroll_totp import EnrollTotp
from authservice.usecases.steps.use_code import UseCode


@dataclass(frozen=True, slots=True)
class SecondFactor:
    """The steps, ready to be used in stories. Live as long as the process."""

    policy: SecondFactorPolicy
    enroll: EnrollTotp
    use_code: UseCode
    admit_code: AdmitCode


def build(parts: Parts) -> SecondFactor:
    """Return the steps."""
    settings = parts.settings
    codes, recovery = SealedTotpCodes(parts.sealer, settings.issuer), KeyedRecoveryCodes(parts.fingerprints)
    return SecondFactor(
        policy=SecondFactorPolicy(settings.require_second_factor == "everybody", settings.roles_with_second_factor()),
        enroll=EnrollTotp(codes, recovery),
        use_code=UseCode(codes, recovery),
        admit_code=admit_code(parts),
    )
