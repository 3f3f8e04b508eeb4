"""The transaction history store (3/9): the last records, numbered and hash-chained.

A record that the center has not seen is never overwritten, so nothing is lost before it is uploaded. The
chain without the newest record is kept beside the chain: so the credit check unit sees by one hash whether
balance, chain and newest record belong together (fig. 8).
"""

from hashlib import sha256

from apdu.commands import RECORDS_PER_FILE
from apdu.messages import Value
from apdu.objects import HistoryRecord, Kind
from apdu.response import ResponseApdu
from apdu.status import StatusWord
from applet_model.card_state import Call, CardState
from applet_model.decline import unless
from applet_model.memory import Transaction

__all__ = ["agrees", "append", "read_record", "received", "require_room", "seen"]

_LAST = 0xFFFFFFFF
_KIND_AT, _REQUEST_AT, _BALANCE_AT = 4, 15, 23
"""Offsets of kind, request number and balance in a record."""


def seen(card: CardState) -> int:
    """Number of the newest record that the center has seen: it stands in the credit information."""
    return card.credit.seen


def require_room(card: CardState, records: int) -> None:
    """Decline with 9507 unless ``records`` more fit beside those that the center has not seen.

    9511 when their numbers have come to an end.
    """
    newest = card.cells.record.number()
    unless(newest + records <= _LAST, StatusWord.COUNTER_EXHAUSTED)
    unseen = newest - seen(card)
    unless(unseen + records <= card.cells.history_capacity, StatusWord.HISTORY_FULL)


def _record(card: CardState, number: int) -> bytes:
    return card.cells.records[(number - 1) % card.cells.history_capacity].get()


def agrees(card: CardState) -> bool:
    """Whether balance and chain are what the newest record makes of them, or activation if there is none [0033]."""
    cells, parameters = card.cells, card.parameters
    number = cells.record.number()
    if number:
        record = _record(card, number)
        balance, hashed = record[_BALANCE_AT : _BALANCE_AT + 4], cells.chain_before.get() + record
    else:
        balance, hashed = parameters.initial.to_bytes(4), parameters.card
    return (cells.balance.get(), cells.chain.get()) == (balance, sha256(hashed).digest())


def append(card: CardState, tx: Transaction, kind: Kind, value: Value, balance: int, date: int) -> None:
    """Write the next record into the transaction, and move the chain on; ``date`` is that of the check."""
    cells = card.cells
    number = cells.record.number() + 1
    other = value.payer if kind is Kind.RECEIVED else value.payee
    record = HistoryRecord(number, kind, other, value.counter, value.request, value.amount, balance, date).encode()
    place = cells.records[(number - 1) % cells.history_capacity]
    _note_overwritten(card, tx, place.get())
    tx.put(place, record)
    tx.put(cells.record, number)
    before = cells.chain.get()
    tx.put(cells.chain_before, before)
    tx.put(cells.chain, sha256(before + record).digest())


def _note_overwritten(card: CardState, tx: Transaction, old: bytes) -> None:
    """Remember the newest request whose receipt can no longer be found: BEYOND_HISTORY up to there."""
    if old[_KIND_AT] == Kind.RECEIVED:
        tx.put(card.cells.request_floor, int.from_bytes(old[_REQUEST_AT : _REQUEST_AT + 4]))


def received(card: CardState, value: Value) -> HistoryRecord | None:
    """The record of an earlier receipt from this payer with this counter, if the history has it."""
    wanted = bytes((Kind.RECEIVED,)) + value.payer + value.counter.to_bytes(4)
    records, at = card.cells.history.get(), -1
    while (at := records.find(wanted, at + 1)) >= 0:
        start = at - _KIND_AT
        if start % HistoryRecord.SIZE == 0:
            return HistoryRecord.decode(records[start : start + HistoryRecord.SIZE])
    return None


def read_record(card: CardState, call: Call) -> ResponseApdu:
    """READ RECORD: P1 counts from the newest record of the file that P2 names."""
    file = (call.command.p2 >> 3) - 1
    age = file * RECORDS_PER_FILE + call.command.p1 - 1
    number = card.cells.record.number() - age
    unless(number > 0 and age < card.cells.history_capacity, StatusWord.RECORD_NOT_FOUND)
    return ResponseApdu(_record(card, number))
