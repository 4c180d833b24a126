"""Mail: how it leaves, what it says, and how long the tokens in it are good."""

import ipaddress
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.utils import parseaddr
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from authservice.config.area import Area, host_name


class MailSettings(Area):
    """The SMTP server, the sender, links, templates, and the lives of tokens."""

    smtp_host: str | None = Field(
        None, description="SMTP server that takes mail; without it, mail is written into `mail` in the data folder"
    )
    smtp_port: int = Field(587, ge=1, le=65535, description="port of that server")
    smtp_security: Literal["starttls", "tls", "plain"] = Field(
        "starttls", description="`starttls`: refuses to go on without; `tls`: from the first byte; `plain`: neither"
    )
    smtp_user: str | None = Field(None, max_length=256, description="user to log in as at that server")
    smtp_password: SecretStr | None = Field(None, description="password of that user")
    smtp_password_file: Path | None = Field(None, description="file with that password")
    smtp_ca_file: Path | None = Field(None, description="CA that signed the SMTP server's certificate, PEM")
    smtp_timeout: float = Field(15.0, gt=0, le=60, description="seconds that sending one mail may take")
    mail_from: str = Field("authservice <authservice@localhost>", description="sender of mail, and its name")
    mail_link_base: str | None = Field(
        None, description="where the front end has its pages, for links in mail; without it, mail has codes alone"
    )
    mail_templates: Path | None = Field(None, description="folder of templates that replace those of the service")
    mail_new_sign_ins: Literal["off", "on"] = Field(
        "off", description="`on`: users are told of logins from networks that are new to them"
    )
    reset_seconds: int = Field(900, ge=60, le=3600, description="life of a token that resets a password")
    confirmation_seconds: int = Field(3600, ge=60, le=86400, description="life of a token that confirms an address")

    @field_validator("smtp_host")
    @classmethod
    def _is_host(cls, host: str | None) -> str | None:
        return host_name(host) if host else None

    @field_validator("mail_from")
    @classmethod
    def _is_sender(cls, text: str) -> str:
        try:
            address_of(text)
        except (ValueError, HeaderParseError, IndexError):
            raise ValueError("is no address, such as `Accounts <accounts@example.com>`") from None
        return text

    @field_validator("mail_link_base")
    @classmethod
    def _is_base(cls, text: str | None) -> str | None:
        parts = urlsplit(text or "")
        if text and not (parts.scheme in {"http", "https"} and parts.netloc and not parts.query and not parts.fragment):
            raise ValueError("is no beginning of a link, such as https://accounts.example.com")
        return text

    @model_validator(mode="after")
    def _hides_the_password(self) -> Self:
        if self.smtp_user and self.smtp_security == "plain" and self.smtp_host and not _is_here(self.smtp_host):
            raise ValueError(
                "AUTHSERVICE_SMTP_SECURITY=plain would send the password of AUTHSERVICE_SMTP_USER in the clear. "
                "Set it to starttls or tls"
            )
        return self

    @property
    def sender(self) -> Address:
        """The sender of mail."""
        return address_of(self.mail_from)


def address_of(text: str) -> Address:
    """Return the name and address of a sender. Raises ValueError, HeaderParseError, IndexError."""
    name, address = parseaddr(text)
    found = Address(name, addr_spec=address)
    if not (text.isprintable() and found.username and found.domain):
        raise ValueError("no address")
    return found


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
