"""The card's own key pair, as a coprocessor keeps it: what the card stores of it says nothing to anybody else."""

from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from apdu.signature import point_of, private_key, sign

__all__ = ["KeyPair"]

_SEED_SIZE = 40
_SCALAR_SIZE = 32


class KeyPair:
    """ECDSA P-256. Injected into the card, so that an oracle can stand in for a card whose key it cannot have."""

    def __init__(self) -> None:
        """Nothing has been used yet."""
        self._used: tuple[bytes, EllipticCurvePrivateKey] | None = None

    def generate(self, random: Callable[[int], bytes]) -> bytes:
        """Make a pair; returns what the card stores of it, 32 bytes."""
        return private_key(random(_SEED_SIZE)).private_numbers().private_value.to_bytes(_SCALAR_SIZE)

    def point(self, stored: bytes) -> bytes:
        """The public key, X and Y, of a stored pair."""
        return point_of(self._key(stored))

    def sign(self, stored: bytes, message: bytes) -> bytes:
        """Sign with a stored pair; 64 bytes."""
        return sign(self._key(stored), message)

    def _key(self, stored: bytes) -> EllipticCurvePrivateKey:
        """A card has one pair: the last one used is at hand."""
        if self._used is None or self._used[0] != stored:
            self._used = stored, private_key(stored)
        return self._used[1]
