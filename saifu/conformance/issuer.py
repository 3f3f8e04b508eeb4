"""The issuer of test cards: a center reduced to its keys, which anybody may know. Its money is worth nothing.

Conformance personalizes a card with it, so that it can sign everything that a card wants to see signed.
"""

import os
from collections.abc import Callable
from hashlib import shake_256

from apdu.errors import SaifuError
from apdu.identity import CardId, Role
from apdu.messages import Certificate, Credit, Head, Signed
from apdu.objects import NO_PIN_SUM, CenterKey, KeyUse, Parameters
from apdu.signature import point_of, private_key
from broadcast.edition import Edition
from host.issuer_session import TRANSPORT_VERSION, IssuerData, IssuerSession
from host.model import ChipKeys, ModelSlot, SmartCard, memory_card
from host.scp03 import KEY_SIZES, StaticKeys
from host.session import Answer, PurseSession, pin_block

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
    "transfer",
]

NOW = 1_800_000_000
"""The date on which tests happen."""
FAR = NOW + 10_000_000
CERTIFICATION, ORDERS = 1, 2
"""Numbers of the issuer's keys."""
STATIC = StaticKeys(bytes(range(16)), bytes(range(16, 32)), bytes(range(32, 48)))
"""The SCP03 keys of a test card: ENC 00 to 0F, MAC 10 to 1F, DEK 20 to 2F."""
CHIP = ChipKeys(b"test-chip1", TRANSPORT_VERSION, STATIC.enc, STATIC.mac, STATIC.dek)
"""What the maker of a test card writes."""
PUT = tuple(StaticKeys(*(bytes(range(first, first + size)) for first in (0x60, 0x80, 0xA0))) for size in KEY_SIZES)
"""Keys that the suite puts on a card for a while: ENC from 60 on, MAC from 80, DEK from A0; a set of each size."""
PIN, PUK = pin_block("1234"), pin_block("12345678")
"""Codes of every test card."""
EUR = 978


class Issuer:
    """A center reduced to its keys: makes cards, credit, editions and orders."""

    def __init__(self, number: int = 1, seed: int = 0) -> None:
        """Keys come from a seed, so that a failure can be repeated."""
        self.number = number
        self.certification, self.orders = (
            private_key(shake_256(f"test issuer {number}, {seed}: {use.name}".encode()).digest(40)) for use in KeyUse
        )
        self.keys = (
            CenterKey(CERTIFICATION, KeyUse.CERTIFICATION, point_of(self.certification)),
            CenterKey(ORDERS, KeyUse.ORDERS, point_of(self.orders)),
        )

    def id(self, serial: int) -> CardId:
        """The ID of a serial of this issuer."""
        return CardId.of(self.number, serial)

    def parameters(self, serial: int, role: Role = Role.PERSON, initial: int = 0, **other: int) -> Parameters:
        """Usual parameters; any field can be given. A float has no PIN sum."""
        is_float = role is Role.FLOAT
        most, pin_sum = (0xFFFFFFFF, NO_PIN_SUM) if is_float else (100_000, 20_000)
        fields = {"currency": EUR, "balance_max": most, "transfer_max": min(most, 50_000), "pin_above": 5_000}
        fields |= {"pin_sum": pin_sum, "pin_tries": 3, "puk_tries": 10, "initial": initial} | other
        return Parameters(self.id(serial), role, **fields)

    def certificate(
        self, serial: int, point: bytes, role: Role = Role.PERSON, expiry: int = FAR
    ) -> Signed[Certificate]:
        """A card's certificate."""
        return Signed.make(Certificate(CERTIFICATION, self.id(serial), role, expiry, point), self.certification)

    def has_certified(self, certificate: bytes) -> bool:
        """Whether a certificate of a card is this issuer's."""
        try:
            Signed.decode(Certificate, certificate).verify(self.keys[0].point)
        except SaifuError:
            return False
        return True

    def credit(self, serial: int, number: int, **other: int) -> Signed[Credit]:
        """Credit information; any field can be given."""
        fields = {"issued": NOW, "expiry": FAR, "count": 1000, "amount": 1_000_000, "seen": 0} | other
        return Signed.make(Credit(ORDERS, self.id(serial), number, **fields), self.orders)

    def edition(self, number: int, *serials: int, time: int = NOW) -> Edition:
        """An edition of the blacklist."""
        head = Head(ORDERS, self.number, number, time, time + 86400, 0, b"")
        return Edition.make(self.orders, head, serials)

    def personalize(self, card: SmartCard, parameters: Parameters, expiry: int = FAR, **credit: int) -> None:
        """Make a purse of a blank card."""
        serial = parameters.card.serial

        def certify(point: bytes) -> tuple[Signed[Certificate], Signed[Credit]]:
            """What the issuer gives for a public key."""
            return self.certificate(serial, point, parameters.role, expiry), self.credit(serial, 1, **credit)

        slot = ModelSlot("issuer", card)
        session = IssuerSession(slot.connect(), lambda _: STATIC)
        session.personalize(IssuerData(parameters, self.keys, PIN, PUK), certify)
        card.power_off()

    def purse(
        self,
        serial: int,
        role: Role = Role.PERSON,
        initial: int = 0,
        history: int = 64,
        unsettled: int = 4,
        random: Callable[[int], bytes] = os.urandom,
        **other: int,
    ) -> ModelSlot:
        """A personalized, powered purse; a float when money is given."""
        role = Role.FLOAT if initial else role
        card = memory_card(CHIP, history, unsettled, random)
        self.personalize(card, self.parameters(serial, role, initial, **other))
        return ModelSlot(f"card {serial}", card).connect()


def transfer(payer: ModelSlot, payee: ModelSlot, amount: int) -> Answer:
    """Move money, command by command, as a terminal does."""
    paying, paid = PurseSession(payer), PurseSession(payee)
    answer = paid.receive(paying.pay(paid.request(amount, paying.card, NOW), NOW), NOW)
    paying.settle(answer)
    return answer
