"""A card whose key somebody has: it attests whatever he wants, and the center has certified it."""

from dataclasses import dataclass, field
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from apdu.identity import CardId, LifeCycle, Role
from apdu.messages import Attestation, Certificate, Credit, Resolution, Signed
from apdu.objects import HistoryRecord, Kind
from apdu.signature import point_of, private_key
from center.center import Center
from center.line import LocalLine
from host.session import Attested
from host.terminal.line import Shown
from tests.issuer import NOW

__all__ = ["BrokenCard", "broken_card"]

START = 10_000
"""Money that the center believes to be on it in the beginning."""


@dataclass
class BrokenCard:
    """Its state is what it says; nothing follows from anything, but that its chain and balances are true to it."""

    center: Center
    key: EllipticCurvePrivateKey
    certificate: Signed[Certificate]
    credit: Signed[Credit]
    records: list[HistoryRecord] = field(default_factory=list)
    counter: int = 0
    request: int = 0
    waiting: tuple[int, ...] = ()
    resolutions: tuple[Signed[Resolution], ...] = ()
    seen: int = 0

    @property
    def id(self) -> CardId:
        return self.certificate.body.subject

    def write(self, kind: Kind, other: CardId, counter: int, request: int = 1, amount: int = 100) -> None:
        """Write a record, with the balance that it makes; counters and requests follow."""
        balance = self.records[-1].balance if self.records else START
        balance += -amount if kind is Kind.PAID else amount
        record = HistoryRecord(len(self.records) + 1, kind, other, counter, request, amount, balance, NOW)
        self.records.append(record)
        self.counter = max(self.counter, counter * (kind is Kind.PAID))
        self.request = max(self.request, request * (kind is Kind.RECEIVED))

    def pay(self, other: "BrokenCard", counter: int, request: int = 1, amount: int = 100) -> None:
        self.write(Kind.PAID, other.id, counter, request, amount)

    def receive(self, other: "BrokenCard", counter: int, request: int = 1, amount: int = 100) -> None:
        self.write(Kind.RECEIVED, other.id, counter, request, amount)

    def refund(self, other: "BrokenCard", counter: int, request: int = 1, amount: int = 100) -> None:
        self.write(Kind.REFUNDED, other.id, counter, request, amount)

    def attest(self, challenge: bytes) -> Attested:
        chain = sha256(self.id).digest()
        for record in self.records:
            chain = sha256(chain + record.encode()).digest()
        balance = self.records[-1].balance if self.records else START
        numbers = (balance, self.counter, self.request, 0, len(self.records), chain, self.credit.body.serial, 0, NOW)
        waiting = b"".join(counter.to_bytes(4) for counter in self.waiting).ljust(32, b"\0")
        state = Attestation(self.id, challenge, LifeCycle.ACTIVE, *numbers, waiting)
        return Attested(self.certificate, Signed.make(state, self.key))

    def renew(self) -> None:
        """Hand in all that is new; raises RefusedError."""
        line = LocalLine(self.center)
        begun = line.begin_renewal(Shown(self.certificate, self.credit, None))
        renewal = line.renew(self.attest(begun.challenge), self.records[begun.seen :])
        self.credit, self.resolutions = renewal.credit, renewal.resolutions


def broken_card(center: Center) -> BrokenCard:
    card = center.allot(Role.PERSON, "a thief")
    key = private_key(card.serial.to_bytes(40))
    certificate, credit = center.certify(card, point_of(key))
    with center.session() as session:
        center.row(session, card).balance = START
    return BrokenCard(center, key, certificate, credit)
