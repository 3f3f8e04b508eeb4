"""What personalization asks of the center: a serial, a certificate, the first credit."""

from typing import Protocol

from apdu.identity import CardId, Role
from apdu.messages import Certificate, Credit, Signed
from apdu.money import Currency
from apdu.objects import CenterKey

__all__ = ["IssuerLine"]


class IssuerLine(Protocol):
    """The center, as the personalization bureau sees it."""

    @property
    def unit(self) -> Currency:
        """The currency of the issuer."""
        ...

    @property
    def public_keys(self) -> tuple[CenterKey, ...]:
        """The center's public keys."""
        ...

    def allot(self, role: Role, holder: str) -> CardId:
        """Give out the next serial."""
        ...

    def is_certified(self, card: CardId) -> bool:
        """Whether an ID has been given its key and certificate."""
        ...

    def certify(self, card: CardId, point: bytes) -> tuple[Signed[Certificate], Signed[Credit]]:
        """Certificate and first credit for a card's public key, once for each ID; raises RefusedError."""
        ...
