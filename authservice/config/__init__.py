"""Every setting, read once from the environment or a `.env` file, typed and frozen: one class per area.

The only package that looks at the environment. The five variables of the Node application that the service grew out of
(`DB_HOST`, `DB_USER`, `DB_PASSWORD`, `DB_NAME`, `JWT_SECRET`) work as they are; all others begin with `AUTHSERVICE_`.
"""

from authservice.config.account import AccountSettings
from authservice.config.database import DatabaseSettings, without_password
from authservice.config.exposure import Exposure, exposures
from authservice.config.mail import MailSettings
from authservice.config.passwords import PasswordSettings
from authservice.config.reading import Origin, load, origins
from authservice.config.registration import RegistrationSettings
from authservice.config.remains import WAYS_BACK, is_there, remains, require_no_remains
from authservice.config.sealing import SealingSettings
from authservice.config.serving import ServingSettings
from authservice.config.settings import Settings
from authservice.config.strays import Stray, strays
from authservice.config.throttle import ThrottleSettings
from authservice.config.tokens import TokenSettings
from authservice.config.variables import ConfigError

__all__ = [
    "WAYS_BACK",
    "AccountSettings",
    "ConfigError",
    "DatabaseSettings",
    "Exposure",
    "MailSettings",
    "Origin",
    "PasswordSettings",
    "RegistrationSettings",
    "SealingSettings",
    "ServingSettings",
    "Settings",
    "Stray",
    "ThrottleSettings",
    "TokenSettings",
    "exposures",
    "is_there",
    "load",
    "origins",
    "remains",
    "require_no_remains",
    "strays",
    "without_password",
]
