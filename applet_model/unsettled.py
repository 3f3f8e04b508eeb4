"""Transfers that wait for their receipt or refusal: the value that was signed, and the payee's public key."""

from apdu.messages import Signed, Value
from apdu.objects import UnsettledEntry
from apdu.status import StatusWord
from applet_model.card_state import CardState
from applet_model.decline import Decline
from applet_model.memory import Transaction

__all__ = ["counters", "entries", "find", "free_place", "keep", "release", "total", "used"]


def used(card: CardState) -> list[int]:
    """Places that hold a transfer."""
    return [i for i, flag in enumerate(card.cells.unsettled_used) if flag.number()]


def _value(card: CardState, place: int) -> Value:
    return Value.decode(card.cells.unsettled_value[place].get()[: Value.SIZE])


def entries(card: CardState) -> list[UnsettledEntry]:
    """What GET DATA 0106 tells, oldest first."""
    values = sorted((_value(card, place) for place in used(card)), key=lambda value: value.counter)
    return [UnsettledEntry(value.counter, value.payee, value.amount) for value in values]


def counters(card: CardState) -> list[int]:
    """Counters of the unsettled transfers, lowest first."""
    return [entry.counter for entry in entries(card)]


def total(card: CardState) -> int:
    """Money in unsettled transfers: it may come back, so the purse keeps room for it."""
    return sum(_value(card, place).amount for place in used(card))


def free_place(card: CardState) -> int:
    """A place for one more transfer; 9508 when there is none."""
    for place, flag in enumerate(card.cells.unsettled_used):
        if not flag.number():
            return place
    raise Decline(StatusWord.UNSETTLED_FULL)


def keep(card: CardState, tx: Transaction, place: int, value: bytes, point: bytes) -> None:
    """Keep a signed value and the key that will sign its receipt."""
    tx.put(card.cells.unsettled_used[place], 1)
    tx.put(card.cells.unsettled_value[place], value)
    tx.put(card.cells.unsettled_point[place], point)


def release(card: CardState, tx: Transaction, place: int) -> None:
    """Forget a transfer that is settled or refunded."""
    tx.put(card.cells.unsettled_used[place], 0)


def find(card: CardState, counter: int) -> tuple[int, Signed[Value], bytes]:
    """Place, signed value and payee's key of the transfer with this counter; 6A88 when there is none."""
    for place in used(card):
        signed = Signed.decode(Value, card.cells.unsettled_value[place].get())
        if signed.body.counter == counter:
            return place, signed, card.cells.unsettled_point[place].get()
    raise Decline(StatusWord.DATA_NOT_FOUND)
