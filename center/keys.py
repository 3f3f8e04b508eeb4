"""The center's signing keys: one certifies cards, the other signs heads, credit and orders.

On disk as PKCS #8 (RFC 5958), encrypted under the center's passphrase; in memory only while in use.
"""

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from apdu.errors import InputError, StoreError
from apdu.layout import Record
from apdu.messages import BodyT, Certificate, Signed
from apdu.objects import CenterKey, KeyUse
from apdu.signature import point_of, private_key
from host.files import write_whole

__all__ = ["CERTIFICATION_KEY", "ORDERS_KEY", "CenterKeys"]

CERTIFICATION_KEY, ORDERS_KEY = 1, 2
"""Numbers of the first keys; rolled-over keys would go on from there."""

_PASSPHRASE_MAX = 1023
"""What OpenSSL takes for an encrypted key file."""


@dataclass(frozen=True, slots=True, repr=False)
class CenterKeys:
    """Both private keys."""

    certification: EllipticCurvePrivateKey
    orders: EllipticCurvePrivateKey

    @classmethod
    def generate(cls) -> Self:
        """Make new keys."""
        return cls(private_key(secrets.token_bytes(40)), private_key(secrets.token_bytes(40)))

    @property
    def public(self) -> tuple[CenterKey, ...]:
        """The public keys, as cards and terminals keep them."""
        return (
            CenterKey(CERTIFICATION_KEY, KeyUse.CERTIFICATION, point_of(self.certification)),
            CenterKey(ORDERS_KEY, KeyUse.ORDERS, point_of(self.orders)),
        )

    def sign(self, body: BodyT) -> Signed[BodyT]:
        """Sign a body with the key that its kind wants."""
        return Signed.make(body, self.certification if _certifies(body) else self.orders)

    def write(self, folder: Path, passphrase: bytes) -> None:
        """Write both keys, encrypted, readable by the owner only; raises InputError for a passphrase too long."""
        if len(passphrase) > _PASSPHRASE_MAX:
            raise InputError(f"the passphrase of a center has at most {_PASSPHRASE_MAX} bytes, not {len(passphrase)}")
        for name, key in (("certification", self.certification), ("orders", self.orders)):
            pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(passphrase))
            write_whole(folder / f"{name}.pem", pem, 0o600)

    @classmethod
    def read(cls, folder: Path, passphrase: bytes) -> Self:
        """Read both keys; raises InputError for a wrong passphrase, StoreError when they are missing."""
        return cls(*(_read(folder / f"{name}.pem", passphrase) for name in ("certification", "orders")))


def _certifies(body: Record) -> bool:
    return isinstance(body, Certificate)


def _read(path: Path, passphrase: bytes) -> EllipticCurvePrivateKey:
    try:
        key = load_pem_private_key(path.read_bytes(), passphrase)
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}; is this a center? (saifu center init)") from None
    except (ValueError, TypeError):
        raise InputError("the passphrase of the center is wrong, or its key files are damaged") from None
    if not isinstance(key, EllipticCurvePrivateKey) or key.curve.name != SECP256R1.name:
        raise StoreError(f"{path}: this is not a P-256 key")
    return key
