"""Cases on how large numbers are: amounts, editions, serials and counters have all their bits, and no sign."""

from functools import partial

from apdu.commands import Ins
from apdu.identity import LifeCycle
from apdu.messages import Signed, UnlockOrder
from apdu.payload import Tag
from apdu.status import StatusWord as W
from broadcast.edition import Edition
from saifu.conformance.case import case
from saifu.conformance.channel import Channel
from saifu.conformance.issuer import ORDERS
from saifu.conformance.provoking import MOST, made, new_purse, receive_from, through
from saifu.conformance.stand import SERIAL, Stand

__all__: list[str] = []

_ABOVE_16_BITS, _LAST_POSITIVE, _FIRST_NEGATIVE = 0x0001_0001, 0x7FFF_FFFF, 0x8000_0000
"""Numbers in ascending order, for a card that takes them for ones of 16 bits, or with a sign, in another."""
_LATE, _LATER = 0x8000_0000, 0x9000_0000
"""Dates."""
_SERIAL = 0xFFC3_A5D5
"""A card's serial, in which each byte begins with a bit that could be a sign."""
_BITMAP_BITS, _BLOCK_BITS = 8, 24
"""Bits of a serial that are a place in a leaf of the proof's tree, and bits that are the leaf's number."""


# --- amounts -----------------------------------------------------------------------------------------------


@new_purse("How to read this page", "amounts have 32 bits and no sign, and sums of them have more")
def _amounts(stand: Stand) -> None:
    made(stand, balance_max=MOST, transfer_max=MOST, pin_above=MOST, pin_sum=MOST)
    partner = stand.partner()
    receive_from(stand, partner, MOST - 0x0F)
    stand.request(0x10, partner.card, W.BALANCE_LIMIT)
    for amount in (1, MOST - 0x1F):
        through(stand, partner, amount)
    receive_from(stand, partner, 0x30)
    stand.pay(partner.asks(0x20), W.CREDIT_LIMIT)
    stand.pay(partner.asks(0x1E))


# --- editions, serials of credit information, dates ----------------------------------------------------------


def _put_credit(stand: Stand, serial: int, sw: int = W.OK, **changed: int) -> None:
    given = stand.issuer.credit(SERIAL, serial, **changed)
    stand.card.send(Ins.PUT_CREDIT, {Tag.CREDIT: given.raw}, sw, ne=None)


def _put_date(stand: Stand, edition: int, sw: int = W.OK, **time: int) -> None:
    head = stand.issuer.edition(edition, **time).head
    stand.card.send(Ins.PUT_DATE, {Tag.HEAD: head.raw}, sw, ne=None)


def _lock_out(stand: Stand, edition: Edition, serial: int, sw: int = W.OK) -> None:
    proof = edition.tree.prove(serial).encode()
    stand.card.send(Ins.LOCK_OUT, {Tag.HEAD: edition.head.raw, Tag.PROOF: proof}, sw, ne=None)


def _unlock(stand: Stand, edition: int, sw: int = W.OK) -> None:
    order = Signed.make(UnlockOrder(ORDERS, stand.id, edition), stand.issuer.orders)
    stand.card.send(Ins.UNLOCK, {Tag.ORDER: order.raw}, sw, ne=None)


@new_purse("How to read this page", "editions, and serials of credit information, have 32 bits and no sign")
def _ascending(stand: Stand) -> None:
    made(stand)
    for put in (partial(_put_credit, stand), partial(_put_date, stand)):
        for number in (_ABOVE_16_BITS, _LAST_POSITIVE, _FIRST_NEGATIVE):
            put(number)
        for older in (_ABOVE_16_BITS - 1, _LAST_POSITIVE):
            put(older, W.OLDER)
    _lock_out(stand, stand.issuer.edition(_LAST_POSITIVE, SERIAL), SERIAL, W.OLDER)
    _lock_out(stand, stand.issuer.edition(_FIRST_NEGATIVE + 2, SERIAL), SERIAL)
    for older in (_LAST_POSITIVE, _FIRST_NEGATIVE + 2):
        _unlock(stand, older, W.OLDER)
    _unlock(stand, _FIRST_NEGATIVE + 0x0001_0000)


@new_purse("How to read this page", "dates of issue and times of heads have 32 bits and no sign")
def _late(stand: Stand) -> None:
    made(stand)
    _put_credit(stand, 2, issued=_LATE)
    stand.audit()
    _put_date(stand, 1, time=_LATER)
    stand.audit()
    _put_credit(stand, 3)
    _put_date(stand, 2)


# --- the proof -----------------------------------------------------------------------------------------------


@new_purse("The proof", "every bit of a serial counts: for its place in the bitmap, and for the way to the root")
def _whole_serial(stand: Stand) -> None:
    made(stand, serial=_SERIAL)
    neighbours = [_SERIAL ^ 1 << bit for bit in range(_BITMAP_BITS + _BLOCK_BITS)]
    for other in neighbours:
        _lock_out(stand, stand.edition(other), other, W.NOT_LISTED)
    everybody = stand.edition(_SERIAL, *neighbours)
    for other in neighbours[_BITMAP_BITS:]:
        _lock_out(stand, everybody, other, W.NOT_LISTED)
    _lock_out(stand, everybody, _SERIAL)


# --- the sequence counter --------------------------------------------------------------------------------------


@case("INITIALIZE UPDATE", "the sequence counter goes on where its last byte is full", LifeCycle.BLANK,
      ins=Ins.INITIALIZE_UPDATE)  # fmt: skip
def _sequence(stand: Stand) -> None:
    stand.card.fresh()
    while Channel(stand.card).answer.sequence_counter[-1]:
        pass
    Channel(stand.card)
