"""A card to do business with, of which the key is known: it signs what no card of the model would."""

import secrets
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey

from apdu.identity import CardId, Role
from apdu.messages import BodyT, Receipt, Refusal, Signed, Value
from apdu.objects import Request
from apdu.signature import ORDER, point_of, private_key
from host.session import Answer, Paid, Requested
from saifu.conformance.issuer import EUR, FAR, Issuer

__all__ = ["Partner", "small_signature"]

_PRIME = (1 << 256) - (1 << 224) + (1 << 192) + (1 << 96) - 1
"""P-256 is over the integers modulo this (SP 800-186 3.2.1.3)."""
_SMALL = 5
"""The least x of a point of P-256."""


class Partner:
    """Another card of the issuer's, honest until told otherwise; its money is without end."""

    def __init__(self, issuer: Issuer, serial: int, role: Role = Role.PERSON, expiry: int = FAR) -> None:
        """A new key pair, certified until ``expiry``."""
        self.key = private_key(secrets.token_bytes(40))
        self.certificate = issuer.certificate(serial, point_of(self.key), role, expiry)
        self._counter = 0

    @property
    def card(self) -> CardId:
        """Its ID."""
        return self.certificate.body.subject

    def asks(self, amount: int, number: int = 1, currency: int = EUR) -> Requested:
        """A request that it may have opened, with a fresh nonce."""
        return Requested(self.certificate, Request(number, secrets.token_bytes(8), amount, currency))

    def pays(self, requested: Requested) -> Paid:
        """A value for a request, with its next counter."""
        self._counter += 1
        wanted, payee = requested.request, requested.certificate.body.subject
        value = Value(
            self.card, self._counter, payee, wanted.number, wanted.nonce, wanted.amount, wanted.currency
        )  # fmt: skip
        return self.gives(value)

    def gives(self, value: Value) -> Paid:
        """Any value, rightly signed."""
        return Paid(self.certificate, self.signs(value))

    def answers(self, paid: Paid, kind: type[Receipt | Refusal] = Receipt, payee: CardId | None = None) -> Answer:
        """Its receipt or refusal of a value; ``payee`` names another card than itself."""
        value, named = paid.value.body, payee or self.card
        if kind is Receipt:
            return self.signs(Receipt(value.payer, value.counter, named))
        return self.signs(Refusal(value.payer, value.counter, named))

    def signs(self, body: BodyT) -> Signed[BodyT]:
        """Anything, signed with its key."""
        return Signed.make(body, self.key)


def small_signature(body: BodyT) -> tuple[bytes, Signed[BodyT]]:
    """A public key, and the body with a signature that verifies under it: so small that either half may be more.

    No known private key signs so. R is a point of small x, r = s = x, and e the hash of the body: then the public key
    is R - (e / x) G, because e / s times G and r / s times that key come to R.
    """
    encoded = body.encode()
    factor = -int.from_bytes(sha256(encoded).digest()) * pow(_SMALL, -1, ORDER) % ORDER
    other = point_of(private_key(factor.to_bytes(32)))
    half = _SMALL.to_bytes(32)
    near = EllipticCurvePublicKey.from_encoded_point(SECP256R1(), b"\x02" + half).public_numbers()
    point = _sum((near.x, near.y), (int.from_bytes(other[:32]), int.from_bytes(other[32:])))
    return point, Signed(body, encoded + half + half)


def _sum(one: tuple[int, int], other: tuple[int, int]) -> bytes:
    """X and Y of the sum of two points that have not the same x (SP 800-186 A.1.1)."""
    (x1, y1), (x2, y2) = one, other
    slope = (y2 - y1) * pow(x2 - x1, -1, _PRIME) % _PRIME
    x = (slope * slope - x1 - x2) % _PRIME
    return x.to_bytes(32) + ((slope * (x1 - x) - y1) % _PRIME).to_bytes(32)
