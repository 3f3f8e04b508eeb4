"""The payload objects that are not signed: requests, status, parameters, counters, history records."""

from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar

from apdu.identity import CardId, LifeCycle, Role
from apdu.layout import Field, Record, card_id, octets, uint
from apdu.signature import POINT_SIZE

__all__ = [
    "NO_PIN_SUM",
    "PLAIN_OBJECTS",
    "Capacities",
    "CenterKey",
    "Counters",
    "CreditUsed",
    "HistoryRecord",
    "KeyUse",
    "Kind",
    "Parameters",
    "PurseStatus",
    "ReferenceData",
    "Request",
    "UnsettledEntry",
]

NO_PIN_SUM = 0xFFFFFFFF
"""A PIN sum that bounds nothing: of a float, whose PIN nobody knows, and of a merchant's card."""


@dataclass(frozen=True, slots=True)
class PurseStatus(Record):
    """What a terminal reads first: in the answer to SELECT."""

    LAYOUT: ClassVar[dict[str, Field]] = {
        "state": Field(1, "B", "life-cycle state", LifeCycle),
        "unsettled": uint(1, "number of unsettled transfers"),
        "balance": uint(4, "minor units"),
        "edition": uint(4, "newest edition of the blacklist that the card has seen"),
    }
    state: LifeCycle
    unsettled: int
    balance: int
    edition: int


@dataclass(frozen=True, slots=True)
class Request(Record):
    """A payee's request n: not signed, since only the card that it names can be paid with it."""

    LAYOUT: ClassVar[dict[str, Field]] = {
        "number": uint(4, "n, a counter that only grows"),
        "nonce": octets(8, "fresh random bytes"),
        "amount": uint(4, "minor units"),
        "currency": uint(2, "ISO 4217 numeric code"),
    }
    number: int
    nonce: bytes
    amount: int
    currency: int


@dataclass(frozen=True, slots=True)
class Parameters(Record):
    """What personalization gave the purse; GET DATA 0101, and DGI 0101 of STORE DATA."""

    LAYOUT: ClassVar[dict[str, Field]] = {
        "card": card_id("the card's ID number"),
        "role": Field(1, "B", "role: 01 person, 02 merchant, 03 float", Role),
        "currency": uint(2, "ISO 4217 numeric code"),
        "balance_max": uint(4, "the most that the purse may hold, minor units"),
        "transfer_max": uint(4, "the most that one transfer may move, minor units"),
        "pin_above": uint(4, "PAY wants the PIN above this amount, minor units"),
        "pin_sum": uint(4, "the most that is paid without the PIN in all, minor units; FFFFFFFF: no bound"),
        "pin_tries": uint(1, "tries of the PIN, 1 to 15"),
        "puk_tries": uint(1, "tries of the resetting code, 1 to 15"),
        "initial": uint(4, "money at activation, minor units; 0 unless the role is float"),
    }
    card: CardId
    role: Role
    currency: int
    balance_max: int
    transfer_max: int
    pin_above: int
    pin_sum: int
    pin_tries: int
    puk_tries: int
    initial: int


@dataclass(frozen=True, slots=True)
class Counters(Record):
    """GET DATA 0102: how far the card has come."""

    LAYOUT: ClassVar[dict[str, Field]] = {
        "payments": uint(4, "counter of the last payment made"),
        "requests": uint(4, "number n of the last request opened"),
        "open": uint(1, "01 if that request is open, else 00"),
        "record": uint(4, "number of the newest history record"),
        "seen": uint(4, "newest history record that the center has seen"),
        "chain": octets(32, "hash chain over all history records"),
        "chain_before": octets(32, "the same without the newest record; zeros before the first one"),
        "date": uint(4, "the card's date, seconds since 1970-01-01 00:00 UTC"),
        "without_pin": uint(4, "paid without the PIN since the last payment with it, minor units"),
    }
    payments: int
    requests: int
    open: int
    record: int
    seen: int
    chain: bytes
    chain_before: bytes
    date: int
    without_pin: int


@dataclass(frozen=True, slots=True)
class CreditUsed(Record):
    """GET DATA 0104, beside the credit information: what was paid since it was stored."""

    LAYOUT: ClassVar[dict[str, Field]] = {
        "count": uint(4, "payments made"),
        "amount": uint(4, "minor units paid"),
    }
    count: int
    amount: int


@dataclass(frozen=True, slots=True)
class UnsettledEntry(Record):
    """GET DATA 0106: one transfer that waits for its receipt or refusal."""

    LAYOUT: ClassVar[dict[str, Field]] = {
        "counter": uint(4, "the payer's counter"),
        "payee": card_id("the card that the value names"),
        "amount": uint(4, "minor units"),
    }
    counter: int
    payee: CardId
    amount: int


@dataclass(frozen=True, slots=True)
class Capacities(Record):
    """GET DATA 0107: what was laid out when the applet was installed."""

    LAYOUT: ClassVar[dict[str, Field]] = {
        "version": uint(1, "version of the protocol: 02"),
        "history": uint(2, "history records, 8 to 1024"),
        "unsettled": uint(1, "unsettled transfers, 1 to 8"),
        "chain": uint(2, "bytes of command data that a chain or an extended command may carry"),
    }
    version: int
    history: int
    unsettled: int
    chain: int


@dataclass(frozen=True, slots=True)
class ReferenceData(Record):
    """GET DATA 0108: the state of PIN and resetting code."""

    LAYOUT: ClassVar[dict[str, Field]] = {
        "pin_tries": uint(1, "tries of the PIN that are left"),
        "puk_tries": uint(1, "tries of the resetting code that are left"),
        "verified": uint(1, "01 if the PIN is verified now, else 00"),
    }
    pin_tries: int
    puk_tries: int
    verified: int


class Kind(IntEnum):
    """What a history record tells."""

    PAID = 0x01
    RECEIVED = 0x02
    REFUNDED = 0x03


@dataclass(frozen=True, slots=True)
class HistoryRecord(Record):
    """One record of the transaction history store 3/9 (READ RECORD)."""

    LAYOUT: ClassVar[dict[str, Field]] = {
        "number": uint(4, "number of the record, the first is 1"),
        "kind": Field(1, "B", "01 paid, 02 received, 03 refunded", Kind),
        "other": card_id("the other card"),
        "counter": uint(4, "the payer's counter"),
        "request": uint(4, "number n of the payee's request"),
        "amount": uint(4, "minor units"),
        "balance": uint(4, "balance after it, minor units"),
        "date": uint(4, "date of the check: the later of card's and terminal's, seconds since 1970-01-01 00:00 UTC"),
    }
    number: int
    kind: Kind
    other: CardId
    counter: int
    request: int
    amount: int
    balance: int
    date: int


class KeyUse(IntEnum):
    """What a key of the center signs."""

    CERTIFICATION = 0x01
    ORDERS = 0x02


@dataclass(frozen=True, slots=True)
class CenterKey(Record):
    """A public key of the center, as the card keeps it; DGI 0102 of STORE DATA."""

    LAYOUT: ClassVar[dict[str, Field]] = {
        "number": uint(1, "number of the key, 1 to 255"),
        "use": Field(1, "B", "01 signs certificates, 02 signs heads, credit, orders and resolutions", KeyUse),
        "point": octets(POINT_SIZE, "public key, X and Y"),
    }
    number: int
    use: KeyUse
    point: bytes


PLAIN_OBJECTS: tuple[type[Record], ...] = (
    PurseStatus,
    Request,
    Parameters,
    Counters,
    CreditUsed,
    UnsettledEntry,
    Capacities,
    ReferenceData,
    HistoryRecord,
    CenterKey,
)
"""Every object without a signature, for the reference page."""
