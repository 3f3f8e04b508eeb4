"""The issuer of test cards, and the balance of one; nothing is mocked."""

from host.model import ModelSlot
from host.session import PurseSession
from saifu.conformance.issuer import CERTIFICATION, CHIP, EUR, FAR, NOW, ORDERS, PIN, PUK, PUT, STATIC, Issuer, transfer

__all__ = [
    "CERTIFICATION",
    "CHIP",
    "EUR",
    "FAR",
    "NOW",
    "ORDERS",
    "PIN",
    "PUK",
    "PUT",
    "STATIC",
    "Issuer",
    "balance",
    "transfer",
]


def balance(slot: ModelSlot) -> int:
    """The balance, after a reset."""
    return PurseSession(slot.connect()).selected.status.balance
