"""TERMINATE, and the card that is terminated."""

from collections.abc import Iterator
from functools import partial

from apdu.commands import Ins
from apdu.identity import AID, LifeCycle
from apdu.messages import Signed, UnlockOrder
from apdu.payload import Tag
from apdu.status import StatusWord as W
from saifu.conformance.case import case
from saifu.conformance.issuer import ORDERS, PIN, Issuer
from saifu.conformance.provoking import MOST, dated, forgeries, misshapen, signed_by_other_center_keys
from saifu.conformance.stand import SERIAL, Objects, Stand, with_changes
from saifu.conformance.subject import must

__all__: list[str] = []

LOCKED_OUT, TERMINATED = LifeCycle.LOCKED_OUT, LifeCycle.TERMINATED
_OTHER = 3
"""A serial that is not the card's."""
_ended = partial(case, ins=Ins.TERMINATE)


def _order(stand: Stand, expiry: int = MOST) -> bytes:
    return stand.terminate_order(expiry=expiry).raw


def _terminate(stand: Stand, order: bytes, sw: int = W.OK, date: Objects | None = None) -> None:
    stand.card.send(Ins.TERMINATE, with_changes({Tag.ORDER: order, Tag.DATE: stand.date()}, date), sw, ne=None)


# --- what ends no life -----------------------------------------------------------------------------------------


@_ended("TERMINATE 1", "the order has the layout of one to terminate")
def _layout(stand: Stand) -> None:
    stand.card.fresh()
    unlock = Signed.make(UnlockOrder(ORDERS, stand.id, 0xFFFFFFFF), stand.issuer.orders).raw
    for wrong in (*misshapen(_order(stand)), unlock, unlock[:72]):
        _terminate(stand, wrong, W.WRONG_DATA)


@_ended("TERMINATE 2", "an order for another card, or another issuer's, ends no life")
def _of_others(stand: Stand) -> None:
    stand.card.fresh()
    for card in (stand.issuer.id(_OTHER), Issuer(2).id(SERIAL)):
        _terminate(stand, stand.terminate_order(card).raw, W.NOT_THIS_CARD)


@_ended("TERMINATE 1", "a date of 1, 3 or 5 bytes is none")
def _sizes_of_date(stand: Stand) -> None:
    stand.card.fresh()
    for size in (1, 3, 5):
        _terminate(stand, _order(stand), W.WRONG_DATA, {Tag.DATE: bytes(size)})


@_ended("TERMINATE 3", "an order that is out of date ends no life, by the terminal's date or by the card's own")
def _late(stand: Stand) -> None:
    stand.ready()
    today = stand.now + 1
    stand.renew(issued=today)
    for expiry, date in ((today, today + 1), (today, MOST), (0x7FFF_FFFF, 0x8000_0000), (today - 1, 0), (0, today)):
        _terminate(stand, _order(stand, expiry), W.ORDER_EXPIRED, dated(date))
    for undated in (dated(None), {Tag.DATE: b""}):
        _terminate(stand, _order(stand, today - 1), W.ORDER_EXPIRED, undated)


@_ended("TERMINATE 4", "an order that the center did not sign ends no life", LOCKED_OUT)
def _forged(stand: Stand) -> None:
    stand.locked()
    for forged in _wrongly_signed(stand):
        _terminate(stand, forged, W.SIGNATURE_INVALID)


def _wrongly_signed(stand: Stand) -> Iterator[bytes]:
    good = _order(stand)
    yield from forgeries(good, stand.issuer.orders, 1)
    yield from signed_by_other_center_keys(good, stand.issuer)


# --- the end ---------------------------------------------------------------------------------------------------


@_ended("TERMINATE", "the order ends the life of an active card, with its money and what is unsettled", spare=True)
def _active(stand: Stand) -> None:
    stand.ready(700)
    stand.paid(stand.partner().asks(100))
    _terminate(stand, _order(stand))
    session = stand.card.session()
    told = (session.selected.status.state, session.selected.status.balance, len(session.get_unsettled()))
    must(told == (TERMINATED, 600, 1), f"the terminated card tells {told}")


@_ended("TERMINATE", "the order ends the life of a locked-out card, in its last second", LOCKED_OUT, spare=True)
def _locked_out(stand: Stand) -> None:
    stand.locked()
    _terminate(stand, _order(stand, expiry=stand.now))
    stand.card.select(W.SELECTED_TERMINATED)


@case("SELECT", "a terminated card says so with its FCI, and without it where none is asked for", TERMINATED)
def _select(stand: Stand) -> None:
    fci = stand.card.select(W.SELECTED_TERMINATED)
    must(len(fci) == 32, "the FCI of a terminated card is not there")
    stand.card.send(Ins.SELECT, AID, W.SELECTED_TERMINATED, p1=0x04, p2=0x0C, ne=None)


@case("Life cycle", "there is no way back: a terminated card takes no order, head or credit", TERMINATED)
def _no_way_back(stand: Stand) -> None:
    stand.card.fresh()
    edition = stand.edition(SERIAL)
    unlock = UnlockOrder(ORDERS, stand.id, edition.number + 1)
    offers = {
        Ins.UNLOCK: {Tag.ORDER: Signed.make(unlock, stand.issuer.orders).raw},
        Ins.TERMINATE: {Tag.ORDER: _order(stand)},
        Ins.PUT_DATE: {Tag.HEAD: edition.head.raw},
        Ins.LOCK_OUT: {Tag.HEAD: edition.head.raw, Tag.PROOF: edition.tree.prove(SERIAL).encode()},
        Ins.PUT_CREDIT: {Tag.CREDIT: stand.issuer.credit(SERIAL, 2, seen=stand.credit.seen).raw},
        Ins.ATTEST: {Tag.CHALLENGE: bytes(16)},
    }
    for ins, objects in offers.items():
        stand.card.send(ins, objects, W.CONDITIONS_OF_USE)


@case("Life cycle", "a terminated card does no business, and is not personalized again", TERMINATED)
def _no_business(stand: Stand) -> None:
    stand.card.fresh()
    partner = stand.partner()
    stand.request(5, partner.card, W.CONDITIONS_OF_USE)
    stand.pay(partner.asks(5), W.CONDITIONS_OF_USE)
    stand.verify(PIN, W.CONDITIONS_OF_USE)
    stand.card.send(Ins.READ_RECORD, sw=W.CONDITIONS_OF_USE, p1=1, p2=0x0C)
    stand.card.send(Ins.INITIALIZE_UPDATE, bytes(8), W.CONDITIONS_OF_USE)
    stand.card.send(Ins.EXTERNAL_AUTHENTICATE, bytes(16), W.CONDITIONS_OF_USE, p1=0x33)
    stand.card.send(Ins.GENERATE_KEY_PAIR, sw=W.CONDITIONS_OF_USE, p1=0x80)
    stand.card.send(Ins.STORE_DATA, b"\0", W.CONDITIONS_OF_USE, p1=0x08)
