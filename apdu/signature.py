"""ECDSA P-256 with SHA-256, signatures as r and s of 32 bytes each, points as X and Y of 32 bytes each."""

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from apdu.errors import AuthenticityError

__all__ = ["ORDER", "POINT_SIZE", "SIGNATURE_SIZE", "is_point", "point_of", "private_key", "sign", "verify"]

SIGNATURE_SIZE = 64
POINT_SIZE = 64

_CURVE = ec.SECP256R1()
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Order of P-256 (FIPS 186-5, SP 800-186 3.2.1.3)."""
_DETERMINISTIC = ec.ECDSA(SHA256(), deterministic_signing=True)
_ECDSA = ec.ECDSA(SHA256())


def private_key(seed: bytes) -> ec.EllipticCurvePrivateKey:
    """Make a key from 40 random bytes (FIPS 186-5 A.2.1, extra random bits), or from its own 32."""
    scalar = int.from_bytes(seed)
    return ec.derive_private_key(scalar if len(seed) == 32 else scalar % (ORDER - 1) + 1, _CURVE)


def point_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The public key of a private key, 64 bytes."""
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)[1:]


def is_point(point: bytes) -> bool:
    """Whether 64 bytes are a point of the curve."""
    try:
        ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, b"\x04" + point)
    except ValueError:
        return False
    return True


def sign(key: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
    """Sign; 64 bytes, the same for the same message (RFC 6979), so no nonce can leak the key."""
    r, s = decode_dss_signature(key.sign(message, _DETERMINISTIC))
    return r.to_bytes(32) + s.to_bytes(32)


def verify(point: bytes, message: bytes, signature: bytes) -> None:
    """Check a signature; raises AuthenticityError also for a bad point or a wrong length."""
    if len(signature) != SIGNATURE_SIZE:
        raise AuthenticityError(f"a signature has {SIGNATURE_SIZE} bytes, not {len(signature)}")
    encoded = encode_dss_signature(int.from_bytes(signature[:32]), int.from_bytes(signature[32:]))
    try:
        key = ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, b"\x04" + point)
        key.verify(encoded, message, _ECDSA)
    except (InvalidSignature, ValueError):
        raise AuthenticityError("the signature does not verify") from None
