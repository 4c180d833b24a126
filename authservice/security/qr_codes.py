"""Texts as QR codes, for apps that read them off a screen."""

import io

_SCALE = 5
"""Pixels of a module. A screen shows the codes of a TOTP secret at about 250 pixels."""


def as_png(text: str) -> bytes:
    """Return a picture of the code."""
    return _saved(text, "png")


def as_svg(text: str) -> bytes:
    """Return an SVG document of the code."""
    return _saved(text, "svg")


def _saved(text: str, kind: str) -> bytes:
    # Here, because few calls need it and it takes a megabyte in each process.
    import segno  # noqa: PLC0415

    out = io.BytesIO()
    # Not a Micro QR code, which no authenticator app reads.
    segno.make(text, micro=False).save(out, kind=kind, scale=_SCALE)
    return out.getvalue()
