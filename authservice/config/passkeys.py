"""Where users have passkeys."""

import re
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from authservice.config.area import Area

_DOMAIN = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")


class PasskeySettings(Area):
    """The pages on which browsers use passkeys for this service."""

    passkey_domain: str | None = Field(
        None, description="domain that passkeys are for, such as `example.com`; without it there are none"
    )
    passkey_origins: str | None = Field(
        None,
        description="pages that may use them, as `https://accounts.example.com`, with commas; else the domain itself",
    )

    @field_validator("passkey_domain")
    @classmethod
    def _is_domain(cls, text: str | None) -> str | None:
        if text and not _DOMAIN.fullmatch(text):
            raise ValueError("must be a domain in lower case, such as example.com, and no address of a page")
        return text or None

    @field_validator("passkey_origins")
    @classmethod
    def _are_origins(cls, text: str | None) -> str | None:
        for origin in _split(text):
            parts = urlsplit(origin)
            # Plain HTTP is for pages on this machine only, as browsers have it.
            is_safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname == "localhost")
            if not (is_safe and parts.hostname and origin == f"{parts.scheme}://{parts.netloc}"):
                raise ValueError("must be origins, such as https://accounts.example.com, with commas between them")
        return text

    @model_validator(mode="after")
    def _origins_are_of_the_domain(self) -> Self:
        if self.passkey_origins and not self.passkey_domain:
            raise ValueError("AUTHSERVICE_PASSKEY_ORIGINS: needs AUTHSERVICE_PASSKEY_DOMAIN, which is not set")
        for origin in _split(self.passkey_origins):
            host = urlsplit(origin).hostname or ""
            # Browsers refuse every other pair (WebAuthn section 5.1.3).
            if host != self.passkey_domain and not host.endswith(f".{self.passkey_domain}"):
                raise ValueError(f"AUTHSERVICE_PASSKEY_ORIGINS: {host} is not {self.passkey_domain} or below it")
        return self

    def origins(self) -> tuple[str, ...]:
        """Return the origins of pages that may use passkeys."""
        return _split(self.passkey_origins) or (f"https://{self.passkey_domain}",)


def _split(text: str | None) -> tuple[str, ...]:
    return tuple((text or "").replace(",", " ").split())
