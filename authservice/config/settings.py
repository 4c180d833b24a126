"""All settings, put together from those of each area."""

from typing import Self

from pydantic import model_validator

from authservice.config.account import AccountSettings
from authservice.config.database import DatabaseSettings
from authservice.config.logs import LogSettings
from authservice.config.mail import MailSettings
from authservice.config.passkeys import PasskeySettings
from authservice.config.passwords import PasswordSettings
from authservice.config.registration import RegistrationSettings
from authservice.config.sealing import SealingSettings
from authservice.config.second_factor import SecondFactorSettings
from authservice.config.serving import ServingSettings
from authservice.config.throttle import ThrottleSettings
from authservice.config.tokens import TokenSettings

ALONE = 15
"""Least code points of a password that is all that a login asks for (NIST SP 800-63B-4 section 3.1.1.1)."""


# They are listed from the last to the first.
class Settings(
    LogSettings,
    AccountSettings,
    ThrottleSettings,
    MailSettings,
    RegistrationSettings,
    SecondFactorSettings,
    PasskeySettings,
    PasswordSettings,
    TokenSettings,
    ServingSettings,
    SealingSettings,
    DatabaseSettings,
):
    """Every setting under its own name. Whoever needs those of one area asks for that area's class."""

    @model_validator(mode="after")
    def _short_passwords_stand_beside_a_second_factor(self) -> Self:
        if self.password_min_length < ALONE and self.require_second_factor != "everybody":
            raise ValueError(
                f"AUTHSERVICE_PASSWORD_MIN_LENGTH: must be at least {ALONE}, "
                "unless AUTHSERVICE_REQUIRE_SECOND_FACTOR is `everybody`"
            )
        return self
