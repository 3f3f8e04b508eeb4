"""The objects that cards, terminals and the center exchange; all fixed layouts, most of them signed.

Each kind of signed body begins with its own type byte. A body that the center signs has the number
of the center key behind it, so that keys can be rolled over.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, Generic, Self, TypeVar

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from apdu.errors import FormatError
from apdu.identity import CardId, LifeCycle, Role
from apdu.layout import Field, Record, card_id, octets, uint
from apdu.signature import POINT_SIZE, SIGNATURE_SIZE, sign, verify

__all__ = [
    "SIGNED_BODIES",
    "UNSETTLED_MAX",
    "Attestation",
    "Certificate",
    "CheckOrder",
    "Credit",
    "Head",
    "Outcome",
    "Receipt",
    "Refusal",
    "Resolution",
    "Signed",
    "TerminateOrder",
    "UnlockOrder",
    "Value",
]

UNSETTLED_MAX = 8
"""The most unsettled transfers that any card may keep: an attestation has room for as many."""

ROOT_SIZE = 24
"""Bytes of a node of the proof tree; see apdu.proof."""

_KEY = uint(1, "number of the center key that signed")
_DATE = "seconds since 1970-01-01 00:00 UTC"


@dataclass(frozen=True, slots=True)
class Certificate(Record):
    """Binds a card's ID, role and public key; signed with a certification key of the center."""

    TYPE: ClassVar[int] = 0xC1
    LAYOUT: ClassVar[dict[str, Field]] = {
        "key": _KEY,
        "subject": card_id("the card"),
        "role": Field(1, "B", "role: 01 person, 02 merchant, 03 float", Role),
        "expiry": uint(4, f"last moment of validity, {_DATE}"),
        "point": octets(POINT_SIZE, "public key of the card, X and Y"),
    }
    key: int
    subject: CardId
    role: Role
    expiry: int
    point: bytes


@dataclass(frozen=True, slots=True)
class Value(Record):
    """Money on its way: what a payer signs in PAY; one card can receive it, once."""

    TYPE: ClassVar[int] = 0xA1
    LAYOUT: ClassVar[dict[str, Field]] = {
        "payer": card_id("the card that paid"),
        "counter": uint(4, "the payer's counter of this payment"),
        "payee": card_id("the only card that may receive it"),
        "request": uint(4, "number n of the payee's request"),
        "nonce": octets(8, "nonce of that request"),
        "amount": uint(4, "minor units"),
        "currency": uint(2, "ISO 4217 numeric code"),
    }
    payer: CardId
    counter: int
    payee: CardId
    request: int
    nonce: bytes
    amount: int
    currency: int


@dataclass(frozen=True, slots=True)
class Receipt(Record):
    """The payee has credited the payer's value of this counter."""

    TYPE: ClassVar[int] = 0xA2
    LAYOUT: ClassVar[dict[str, Field]] = {
        "payer": card_id("the card that paid"),
        "counter": uint(4, "the payer's counter"),
        "payee": card_id("the card that signs"),
    }
    payer: CardId
    counter: int
    payee: CardId


@dataclass(frozen=True, slots=True)
class Refusal(Record):
    """The payee has not credited the payer's value of this counter, and never will."""

    TYPE: ClassVar[int] = 0xA3
    LAYOUT: ClassVar[dict[str, Field]] = Receipt.LAYOUT
    payer: CardId
    counter: int
    payee: CardId


@dataclass(frozen=True, slots=True)
class Attestation(Record):
    """The card's state under the center's challenge, signed by the card (ATTEST)."""

    TYPE: ClassVar[int] = 0xA4
    LAYOUT: ClassVar[dict[str, Field]] = {
        "card": card_id("the card that signs"),
        "challenge": octets(16, "the center's challenge"),
        "state": Field(1, "B", "life-cycle state", LifeCycle),
        "balance": uint(4, "minor units"),
        "counter": uint(4, "counter of the last payment made"),
        "request": uint(4, "number n of the last request opened"),
        "open": uint(1, "01 if that request is open, else 00"),
        "record": uint(4, "number of the newest history record"),
        "chain": octets(32, "hash chain over all history records"),
        "credit": uint(4, "serial of the credit information"),
        "edition": uint(4, "newest edition that the card has seen"),
        "date": uint(4, f"the card's date, {_DATE}"),
        "unsettled": octets(4 * UNSETTLED_MAX, "counters of the unsettled transfers, 4 bytes each, then zeros"),
    }
    card: CardId
    challenge: bytes
    state: LifeCycle
    balance: int
    counter: int
    request: int
    open: int
    record: int
    chain: bytes
    credit: int
    edition: int
    date: int
    unsettled: bytes

    @property
    def unsettled_counters(self) -> tuple[int, ...]:
        """The counters of the unsettled transfers; a counter is never 0."""
        words = (int.from_bytes(self.unsettled[i : i + 4]) for i in range(0, len(self.unsettled), 4))
        return tuple(word for word in words if word)


@dataclass(frozen=True, slots=True)
class Head(Record):
    """Head of an edition of the blacklist: the one thing the center signs of it."""

    TYPE: ClassVar[int] = 0xB1
    LAYOUT: ClassVar[dict[str, Field]] = {
        "key": _KEY,
        "issuer": uint(2, "whose cards are listed"),
        "edition": uint(4, "edition number, only grows"),
        "time": uint(4, f"when it was made, {_DATE}"),
        "next": uint(4, f"when the next one comes at the latest, {_DATE}"),
        "count": uint(4, "number of listed cards"),
        "root": octets(ROOT_SIZE, "root of the proof tree over the listed cards"),
    }
    key: int
    issuer: int
    edition: int
    time: int
    next: int
    count: int
    root: bytes


@dataclass(frozen=True, slots=True)
class Credit(Record):
    """Credit information [0030]: until when, how often and how much a card may pay."""

    TYPE: ClassVar[int] = 0xB2
    LAYOUT: ClassVar[dict[str, Field]] = {
        "key": _KEY,
        "card": card_id("the card it is for"),
        "serial": uint(4, "only grows"),
        "issued": uint(4, _DATE),
        "expiry": uint(4, f"last moment of validity, {_DATE}"),
        "count": uint(4, "payments until renewal"),
        "amount": uint(4, "minor units that may be paid until renewal"),
        "seen": uint(4, "newest history record that the center has seen"),
    }
    key: int
    card: CardId
    serial: int
    issued: int
    expiry: int
    count: int
    amount: int
    seen: int


@dataclass(frozen=True, slots=True)
class UnlockOrder(Record):
    """Unlocks one card, and makes it refuse every edition below ``edition`` from then on."""

    TYPE: ClassVar[int] = 0xB3
    LAYOUT: ClassVar[dict[str, Field]] = {
        "key": _KEY,
        "card": card_id("the card to unlock"),
        "edition": uint(4, "lowest edition that the card still believes"),
    }
    key: int
    card: CardId
    edition: int


class Outcome(IntEnum):
    """What the center has found out about an unsettled transfer."""

    RECEIVED = 0x01
    NEVER_RECEIVED = 0x02


@dataclass(frozen=True, slots=True)
class Resolution(Record):
    """The center settles a transfer in the payee's place, from the payee's records and attestation."""

    TYPE: ClassVar[int] = 0xB4
    LAYOUT: ClassVar[dict[str, Field]] = {
        "key": _KEY,
        "payer": card_id("the card whose transfer is resolved"),
        "counter": uint(4, "the payer's counter"),
        "outcome": Field(1, "B", "01 received: settled; 02 never received: the money goes back", Outcome),
    }
    key: int
    payer: CardId
    counter: int
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class TerminateOrder(Record):
    """Ends a card's life until ``expiry``; there is no way back."""

    TYPE: ClassVar[int] = 0xB5
    LAYOUT: ClassVar[dict[str, Field]] = {
        "key": _KEY,
        "card": card_id("the card to terminate"),
        "expiry": uint(4, f"last moment of validity, {_DATE}"),
    }
    key: int
    card: CardId
    expiry: int


@dataclass(frozen=True, slots=True)
class CheckOrder(Record):
    """Lets the credit check unit of one terminal run until ``expiry`` [0034]."""

    TYPE: ClassVar[int] = 0xB6
    LAYOUT: ClassVar[dict[str, Field]] = {
        "key": _KEY,
        "terminal": uint(4, "number of the terminal"),
        "expiry": uint(4, f"last moment of validity, {_DATE}"),
    }
    key: int
    terminal: int
    expiry: int


SIGNED_BODIES: tuple[type[Record], ...] = (
    Certificate,
    Value,
    Receipt,
    Refusal,
    Attestation,
    Head,
    Credit,
    UnlockOrder,
    Resolution,
    TerminateOrder,
    CheckOrder,
)
"""Every signed body, for the reference page and for tests that cross them."""

BodyT = TypeVar("BodyT", bound=Record)


@dataclass(frozen=True, slots=True)
class Signed(Generic[BodyT]):
    """A body with the signature over its bytes; on the wire body then signature (64 bytes)."""

    body: BodyT
    raw: bytes

    @classmethod
    def make(cls, body: BodyT, key: EllipticCurvePrivateKey) -> Self:
        """Sign a body."""
        encoded = body.encode()
        return cls(body, encoded + sign(key, encoded))

    @classmethod
    def decode(cls, kind: type[BodyT], raw: bytes) -> "Signed[BodyT]":
        """Parse without checking the signature; raises FormatError."""
        if len(raw) != kind.SIZE + SIGNATURE_SIZE:
            raise FormatError(f"a signed {kind.__name__} has {kind.SIZE + SIGNATURE_SIZE} bytes, not {len(raw)}")
        try:
            return cls(kind.decode(raw[: kind.SIZE]), raw)
        except ValueError as error:
            raise FormatError(f"{kind.__name__}: {error}") from None

    def verify(self, point: bytes) -> BodyT:
        """Return the body if the signature holds under this public key; raises AuthenticityError."""
        verify(point, self.raw[: self.body.SIZE], self.raw[self.body.SIZE :])
        return self.body
