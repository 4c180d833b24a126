"""All settings, put together from those of each area."""

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
