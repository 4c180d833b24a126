"""Which 32 bytes an Ed25519 public key may be.

The libraries take any. Under a point of small order everybody can sign, without a private key.
"""

_P = 2**255 - 19
"""The field of edwards25519 (RFC 8032 section 5.1)."""
_D = -121665 * pow(121666, -1, _P) % _P


def is_sound_point(encoded: bytes) -> bool:
    """Tell whether 32 bytes are a point of the curve in its one spelling, and not one of the eight of small order."""
    y = int.from_bytes(encoded, "little") % 2**255  # The last bit says which of the two x it is.
    square = y * y % _P
    # The y of order 1 and 2, of order 4, and of order 8: there a point doubled is one of order 4, whose y is 0.
    has_small_order = (square - 1) * y * (_D * square * square + 2 * square - 1) % _P == 0
    # x^2 is (y^2 - 1) / (d y^2 + 1), which is a square if the product of the two is.
    is_on_curve = pow((square - 1) * (_D * square + 1), (_P - 1) // 2, _P) == 1
    return y < _P and is_on_curve and not has_small_order
