"""The center's signing keys: one certifies cards, the other signs heads, credit and orders.

On disk sealed under the center's passphrase; in memory only while in use.
"""

import json
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from apdu.layout import Record
from apdu.messages import BodyT, Certificate, Signed
from apdu.objects import CenterKey, KeyUse
from apdu.signature import point_of, private_key
from host.sealed_file import SCRYPT_COST, damaged, read_sealed, write_sealed

__all__ = ["CERTIFICATION_KEY", "ORDERS_KEY", "CenterKeys"]

CERTIFICATION_KEY, ORDERS_KEY = 1, 2
"""Numbers of the first keys; rolled-over keys would go on from there."""

_FILE, _FORMAT = "keys.json", "saifu center keys 1"
_KEY_SIZE = 32


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

    def write(self, folder: Path, passphrase: bytes, cost: int = SCRYPT_COST) -> None:
        """Write both keys into one file; ``cost`` is Scrypt's N. Raises StoreError when it cannot be written."""
        numbers = [key.private_numbers().private_value for key in (self.certification, self.orders)]
        plain = json.dumps([number.to_bytes(_KEY_SIZE).hex() for number in numbers]).encode()
        write_sealed(folder / _FILE, _FORMAT, plain, passphrase, cost)

    @classmethod
    def read(cls, folder: Path, passphrase: bytes) -> Self:
        """Read both keys; raises InputError for a wrong passphrase, StoreError when they are missing or damaged."""
        path = folder / _FILE
        plain = read_sealed(path, _FORMAT, passphrase)
        try:
            certification, orders = [private_key(_raw(text)) for text in json.loads(plain)]
        except (ValueError, TypeError):
            raise damaged(path) from None
        return cls(certification, orders)


def _raw(text: str) -> bytes:
    raw = bytes.fromhex(text)
    if len(raw) != _KEY_SIZE:
        raise ValueError(len(raw))
    return raw


def _certifies(body: Record) -> bool:
    return isinstance(body, Certificate)
