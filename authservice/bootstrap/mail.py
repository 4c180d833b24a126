"""Puts the area `mail` together."""

from datetime import timedelta
from typing import TYPE_CHECKING

from uuid6 import uuid7

from authservice.bootstrap.parts import Parts
from authservice.bootstrap.secrets import OUTBOX
from authservice.config import ConfigError, MailSettings, Settings
from authservice.domain.mail import Purpose
from authservice.mail.folder import MailFolder
from authservice.mail.messages import Carry, Courier
from authservice.mail.templates import Templates, TemplatesUnfit
from authservice.security.emails import Emails
from authservice.security.envelopes import SealedEnvelopes
from authservice.security.one_time_tokens import OneTimeTokenMint
from authservice.security.sealing import Sealer
from authservice.security.user_names import PrecisNames
from authservice.usecases.mail import MailStories
from authservice.usecases.mail.answer_asked import AnswerAsked
from authservice.usecases.mail.deliver import Deliver
from authservice.usecases.steps.find_user import FindUser
from authservice.usecases.steps.one_time_tokens import IssueToken, RedeemToken
from authservice.usecases.steps.send_mail import SendMail

if TYPE_CHECKING:
    from authservice.mail.smtp import SmtpServer

FOLDER = "mail"
"""Where mail is written that goes to no server, inside the data folder."""


def build(parts: Parts) -> MailStories:
    """Return the area's stories. Raises ConfigError."""
    return MailStories(
        deliver=Deliver(
            parts.database,
            envelopes(parts),
            AnswerAsked(parts.database, find_user(), issue_token(parts), send_mail(parts), parts.clock, parts.audit),
            courier(parts.settings),
            parts.clock,
            parts.audit,
            # Connecting, and then what one message may take; and some for the database.
            claimed_for=timedelta(seconds=2 * parts.settings.smtp_timeout + 30),
        )
    )


def envelopes(parts: Parts) -> SealedEnvelopes:
    """Return what seals mail in the outbox."""
    return SealedEnvelopes(Sealer((parts.own_secrets[OUTBOX],)))


def send_mail(parts: Parts) -> SendMail:
    """Return what puts mail into the outbox."""
    return SendMail(envelopes(parts), parts.fingerprints, uuid7, parts.clock)


def find_user() -> FindUser:
    """Return what finds accounts by what people type."""
    return FindUser(PrecisNames(), Emails())


def issue_token(parts: Parts) -> IssueToken:
    """Return what makes one-time tokens."""
    settings = parts.settings
    lives = {
        Purpose.RESET: settings.reset_seconds,
        Purpose.VERIFY_EMAIL: settings.confirmation_seconds,
        Purpose.CHANGE_EMAIL: settings.confirmation_seconds,
        Purpose.INVITE: settings.invitation_seconds,
    }
    return IssueToken(
        OneTimeTokenMint(),
        parts.fingerprints,
        uuid7,
        {purpose: timedelta(seconds=seconds) for purpose, seconds in lives.items()},
    )


def redeem_token(parts: Parts) -> RedeemToken:
    """Return what judges one-time tokens that come back."""
    return RedeemToken(parts.database, OneTimeTokenMint(), uuid7, parts.clock)


def courier(settings: Settings) -> Courier:
    """Return who brings mail on its way. Raises ConfigError."""
    sender = settings.sender
    try:
        templates = Templates(
            settings.mail_templates, settings.mail_link_base or "", sender.display_name or settings.issuer
        )
    except TemplatesUnfit as unfit:
        raise ConfigError(f"AUTHSERVICE_MAIL_TEMPLATES: {unfit}.") from None
    except OSError as error:
        raise ConfigError(f"AUTHSERVICE_MAIL_TEMPLATES: {settings.mail_templates}: {error.strerror}.") from None
    return Courier(templates, sender, _carrier(settings))


def _carrier(settings: Settings) -> Carry:
    if settings.smtp_host is None:
        return MailFolder(settings.data_dir / FOLDER).carry
    return smtp_server(settings, settings.smtp_host).carry


def smtp_server(settings: MailSettings, host: str) -> "SmtpServer":
    """Return the configured SMTP server."""
    # Here, because the embedded default writes mail to a folder.
    from authservice.mail.smtp import SmtpServer  # noqa: PLC0415

    return SmtpServer(
        host=host,
        port=settings.smtp_port,
        security=settings.smtp_security,
        user=settings.smtp_user or "",
        password=settings.smtp_password.get_secret_value() if settings.smtp_password else "",
        seconds=settings.smtp_timeout,
        ca_file=settings.smtp_ca_file,
    )
