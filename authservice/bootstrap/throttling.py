"""Puts together what counts attempts, for the areas in which one can try."""

from authservice.bootstrap.parts import Parts
from authservice.bootstrap.sizes import attempt_limits, mail_request_limit, registration_limit
from authservice.usecases.steps.admit_attempt import AdmitAttempt
from authservice.usecases.steps.admit_code import AdmitCode
from authservice.usecases.steps.admit_request import AdmitRequest


def admit_attempt(parts: Parts) -> AdmitAttempt:
    """Return what admits attempts to prove who one is."""
    limits = attempt_limits(parts.settings)
    return AdmitAttempt(
        parts.database,
        parts.fingerprints,
        limits,
        parts.settings.mail_new_sign_ins == "on",
        parts.clock,
        parts.audit,
    )


def admit_code(parts: Parts) -> AdmitCode:
    """Return what admits codes of second factors."""
    limits = attempt_limits(parts.settings)
    return AdmitCode(parts.database, parts.fingerprints, limits.pair, parts.clock, parts.audit)


def admit_registration(parts: Parts) -> AdmitRequest:
    """Return what admits new accounts."""
    limit = registration_limit(parts.settings)
    return AdmitRequest(parts.database, parts.fingerprints, "register", limit, parts.clock)


def admit_mail_request(parts: Parts) -> AdmitRequest:
    """Return what admits requests for mails with a token."""
    limit = mail_request_limit(parts.settings)
    return AdmitRequest(parts.database, parts.fingerprints, "mail_request", limit, parts.clock)
