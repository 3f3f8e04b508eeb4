"""The center's keys: one certifies cards, one signs heads, credit and orders, one makes the groups' cipher keys.

On disk sealed under the center's passphrase; in memory only while in use.
"""

import json
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from apdu.layout import Record
from apdu.messages import BodyT, Certificate, Signed
from apdu.objects import CenterKey, KeyUse
from apdu.signature import point_of, private_key
from broadcast.cipher_key import CipherKey
from host.files import locked
from host.sealed_file import SCRYPT_COST, damaged, read_sealed, write_sealed

__all__ = ["CERTIFICATION_KEY", "ORDERS_KEY", "CenterKeys"]

CERTIFICATION_KEY, ORDERS_KEY = 1, 2
"""Numbers of the first keys; rolled-over keys would go on from there."""

_FILE, _FORMAT = "keys.json", "saifu center keys 1"
_KEY_SIZE = 32


@dataclass(frozen=True, slots=True, repr=False)
class CenterKeys:
    """Both private keys, and the root (32 bytes) that the cipher keys (46) of all terminal groups come from."""

    certification: EllipticCurvePrivateKey
    orders: EllipticCurvePrivateKey
    cipher_root: bytes

    @classmethod
    def generate(cls) -> Self:
        """Make new keys."""
        certification, orders = (private_key(secrets.token_bytes(40)) for _ in range(2))
        return cls(certification, orders, secrets.token_bytes(_KEY_SIZE))

    def cipher_key(self, group: str, number: int) -> CipherKey:
        """A group's cipher key: HKDF-SHA256 of the root, so that none of them has to be kept."""
        info = b"saifu cipher key" + number.to_bytes(2) + group.encode()
        return CipherKey(number, HKDF(SHA256(), _KEY_SIZE, None, info).derive(self.cipher_root))

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
        """Write the keys into one file; ``cost`` is Scrypt's N. Raises StoreError when it cannot be written."""
        numbers = [key.private_numbers().private_value for key in (self.certification, self.orders)]
        raw = [*(number.to_bytes(_KEY_SIZE) for number in numbers), self.cipher_root]
        plain = json.dumps([key.hex() for key in raw]).encode()
        write_sealed(folder / _FILE, _FORMAT, plain, passphrase, cost)

    @classmethod
    def read(cls, folder: Path, passphrase: bytes) -> Self:
        """Read the keys; raises InputError for a wrong passphrase, StoreError when they are missing or damaged.

        A center that was made before there were cipher keys gets their root now.
        """
        path = folder / _FILE
        keys = cls._read(path, passphrase)
        if keys.cipher_root:
            return keys
        with locked(path):
            keys = cls._read(path, passphrase)  # another process may have given it its root meanwhile
            if not keys.cipher_root:
                keys = cls(keys.certification, keys.orders, secrets.token_bytes(_KEY_SIZE))
                keys.write(folder, passphrase)
        return keys

    @classmethod
    def _read(cls, path: Path, passphrase: bytes) -> Self:
        """Read the keys as they are; the root is empty where there is none yet."""
        plain = read_sealed(path, _FORMAT, passphrase)
        try:
            certification, orders, *root = [_raw(text) for text in json.loads(plain)]
            return cls(private_key(certification), private_key(orders), *(root or [b""]))
        except (ValueError, TypeError):
            raise damaged(path) from None


def _raw(text: str) -> bytes:
    raw = bytes.fromhex(text)
    if len(raw) != _KEY_SIZE:
        raise ValueError(len(raw))
    return raw


def _certifies(body: Record) -> bool:
    return isinstance(body, Certificate)
