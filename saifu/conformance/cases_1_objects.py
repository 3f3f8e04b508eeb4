"""Cases on the payload objects of each command: all of them there, none unknown, none twice, none cut off.

What is spoilt is in order otherwise, up to a check that comes later: a card that passed over the fault would say so.
"""

from collections.abc import Callable, Iterator
from functools import partial

from apdu.commands import BY_INS, Command, Ins
from apdu.identity import CardId, LifeCycle
from apdu.messages import Receipt, Signed, UnlockOrder, Value
from apdu.objects import Request
from apdu.payload import Tag, pack
from apdu.signature import POINT_SIZE, SIGNATURE_SIZE
from apdu.status import StatusWord as W
from saifu.conformance.harmless import harmless, in_states, usual_state
from saifu.conformance.issuer import EUR, ORDERS, Issuer
from saifu.conformance.stand import SERIAL, Stand

__all__: list[str] = []

Objects = dict[Tag, bytes]
_OTHER = 0x0FFF_FFFF
"""Serial of a card that is not the one under test."""
_UNSIGNED = bytes(SIGNATURE_SIZE)


def _other(stand: Stand) -> CardId:
    return stand.issuer.id(_OTHER)


def _certificate(stand: Stand) -> bytes:
    """One of the card's own ID: it does business with others alone."""
    return stand.issuer.certificate(SERIAL, bytes(POINT_SIZE)).raw


def _request(stand: Stand) -> Objects:
    return {Tag.AMOUNT: bytes(4), Tag.CARD_ID: _other(stand)}


def _pay(stand: Stand) -> Objects:
    return {Tag.CERTIFICATE: _certificate(stand), Tag.REQUEST: Request(1, bytes(8), 1, EUR).encode()}


def _receive(stand: Stand) -> Objects:
    value = Value(_other(stand), 1, _other(stand), 1, bytes(8), 1, EUR).encode()
    return {Tag.CERTIFICATE: _certificate(stand), Tag.VALUE: value + _UNSIGNED}


def _settle(stand: Stand) -> Objects:
    return {Tag.RECEIPT: Receipt(_other(stand), 1, stand.id).encode() + _UNSIGNED}


def _lock_out(stand: Stand) -> Objects:
    edition = stand.edition(_OTHER, ahead=0)
    return {Tag.HEAD: edition.head.raw, Tag.PROOF: edition.tree.prove(_OTHER).encode()}


def _unlock(stand: Stand) -> Objects:
    return {Tag.ORDER: Signed.make(UnlockOrder(ORDERS, _other(stand), 1), stand.issuer.orders).raw}


def _put_date(stand: Stand) -> Objects:
    return {Tag.HEAD: Issuer(stand.issuer.number ^ 1).edition(1).head.raw}


def _terminate(stand: Stand) -> Objects:
    return {Tag.ORDER: stand.terminate_order(_other(stand)).raw}


_WELL_FORMED: dict[Ins, tuple[Callable[[Stand], Objects], int | None]] = {
    Ins.REQUEST: (_request, W.TRANSFER_LIMIT),
    Ins.PAY: (_pay, W.NOT_THIS_CARD),
    Ins.RECEIVE: (_receive, W.NOT_THIS_CARD),
    Ins.SETTLE: (_settle, W.NOT_THIS_CARD),
    Ins.GIVE_AGAIN: (lambda _: {Tag.COUNTER: bytes(4)}, W.DATA_NOT_FOUND),
    Ins.PUT_CREDIT: (lambda stand: {Tag.CREDIT: stand.issuer.credit(_OTHER, 1).raw}, W.NOT_THIS_CARD),
    Ins.ATTEST: (lambda _: {Tag.CHALLENGE: bytes(16)}, None),
    Ins.LOCK_OUT: (_lock_out, W.NOT_LISTED),
    Ins.UNLOCK: (_unlock, W.NOT_THIS_CARD),
    Ins.PUT_DATE: (_put_date, W.NOT_THIS_CARD),
    Ins.TERMINATE: (_terminate, W.NOT_THIS_CARD),
}
"""For each command with objects: those that pass this check, and the word that they get for what is in them."""


def _strangers(row: Command) -> Iterator[bytes]:
    """Objects that a command does not take: two of others, and tags that there are not."""
    foreign = [tag for tag in (Tag.DATE, Tag.CARD_ID, Tag.COUNTER) if tag not in row.carries]
    yield from (pack({tag: b""}) for tag in foreign[:2])
    yield from (b"\xbe\0", b"\x97\0", b"\0\0")


def _spoilt(row: Command, objects: Objects) -> Iterator[bytes]:
    good, tags = pack(objects), list(objects)
    yield from (pack({tag: objects[tag] for tag in tags if tag is not missing}) for missing in tags if len(tags) > 1)
    yield from (good + stranger for stranger in _strangers(row))
    yield next(_strangers(row)) + good
    yield from (good + pack({tag: b"\0"}) for tag in tags)
    yield from (good[:-1], good + bytes((tags[0],)), good + b"\xbe")
    if Tag.DATE in row.optional:
        yield good + pack({Tag.DATE: b""}) * 2


def _objects(row: Command, stand: Stand) -> None:
    make, sw = _WELL_FORMED[row.ins]
    objects = make(stand)
    stand.card.raw(harmless(row).with_data(pack(objects)), sw)
    for data in _spoilt(row, objects):
        stand.card.raw(harmless(row).with_data(data), W.WRONG_DATA)


for _ins in _WELL_FORMED:
    _row = BY_INS[_ins]
    in_states(
        "Order of checks 16", f"{_row.name} takes its objects whole and once each, and no others",
        usual_state(_row), ins=_ins,
    )(partial(_objects, _row))  # fmt: skip


@in_states("Order of checks 16", "objects come before everything that they hold", LifeCycle.ACTIVE, ins=Ins.REQUEST)
def _objects_first(stand: Stand) -> None:
    stand.card.send(Ins.REQUEST, {Tag.AMOUNT: b"", Tag.CARD_ID: stand.id, Tag.STATUS: b""}, W.WRONG_DATA)
    stand.card.send(Ins.REQUEST, {Tag.AMOUNT: bytes(4), Tag.CARD_ID: stand.id}, W.NOT_THIS_CARD)


@in_states("Payload objects", "a value is split only where it must be", ins=Ins.LOCK_OUT)
def _split_values(stand: Stand) -> None:
    head, full = pack({Tag.HEAD: bytes(108)}), bytes((Tag.PROOF, 255)) + bytes(255)
    for data in (full + bytes((Tag.PROOF, 0)), pack({Tag.PROOF: bytes(9)}) * 2, full + full[:9]):
        stand.card.send(Ins.LOCK_OUT, head + data, W.WRONG_DATA, ne=None)


@in_states("Payload objects", "the order of objects is free", ins=Ins.RECEIVE)
def _free_order(stand: Stand) -> None:
    objects = _receive(stand) | {Tag.DATE: stand.date()}
    for tags in (list(objects), list(objects)[::-1]):
        stand.card.send(Ins.RECEIVE, {tag: objects[tag] for tag in tags}, W.NOT_THIS_CARD)
