"""What is asked of people beside their password."""

from authapi.v1 import second_factor_pb2 as api

from authservice.domain.challenge import IssuedChallenge, Method
from authservice.domain.passkey import Ceremony
from authservice.domain.second_factor import TotpEnrollment
from authservice.transport.messages.times import timestamp

_METHODS = {
    Method.TOTP: api.CHALLENGE_METHOD_TOTP,
    Method.RECOVERY_CODE: api.CHALLENGE_METHOD_RECOVERY_CODE,
    Method.ENROLL_TOTP: api.CHALLENGE_METHOD_ENROLL_TOTP,
    Method.PASSKEY: api.CHALLENGE_METHOD_PASSKEY,
}


def challenge(value: IssuedChallenge) -> api.Challenge:
    """Return a challenge as a client receives it."""
    return api.Challenge(
        challenge_token=value.text,
        methods=[_METHODS[each] for each in value.methods],
        expire_time=timestamp(value.expires_at),
        enrollment=enrollment(value.enrollment) if value.enrollment else None,
        passkey_options_json=value.passkey_options,
    )


def enrollment(value: TotpEnrollment) -> api.TotpEnrollment:
    """Return what an app needs to know, as a client receives it."""
    return api.TotpEnrollment(secret=value.secret, uri=value.uri, qr_png=value.qr_png, qr_svg=value.qr_svg)


def ceremony(value: Ceremony) -> api.PasskeyCeremony:
    """Return what a browser is asked, as a client receives it."""
    return api.PasskeyCeremony(
        ceremony_token=value.token, options_json=value.options, expire_time=timestamp(value.expires_at)
    )
