"""Lock-out and date: LOCK OUT, PUT DATE and UNLOCK, and what a locked-out card answers.

What is good comes before what is declined, or an audit between: nothing hides what a declined command has changed.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from apdu.command import CHAINING, CommandApdu
from apdu.commands import PIN_REFERENCE, Ins
from apdu.identity import LifeCycle
from apdu.messages import BodyT, Head, Signed, UnlockOrder
from apdu.payload import Tag, pack
from apdu.proof import DEPTH, Proof
from apdu.protocol import Protocol
from apdu.status import StatusWord as W
from broadcast.edition import Edition
from saifu.conformance.case import Run, case
from saifu.conformance.issuer import NOW, ORDERS, PIN, PUK, Issuer
from saifu.conformance.provoking import cut_or_long, forgeries, misshapen, signed_by_other_center_keys, twin_of
from saifu.conformance.stand import SERIAL, Stand
from saifu.conformance.subject import must

__all__: list[str] = []

ACTIVE, LOCKED_OUT = LifeCycle.ACTIVE, LifeCycle.LOCKED_OUT
_OTHER = 3
"""A serial that is not the card's, in the same block of the proof tree."""
_BLOCK = 256
_TIME = 11
"""Place of a byte of a head in its time: a change of it leaves issuer and edition as they are."""


def _promise(ins: Ins, clause: str, title: str, *states: LifeCycle) -> Callable[[Run], None]:
    """Add a case that begins in each of the states, reset and selected."""

    def add(run: Run) -> None:
        """Keep the case for each of its states."""
        for state in states or (ACTIVE,):
            case(clause, title, state, ins=ins)(partial(_begin, state, run))

    return add


_in_date, _in_lock_out, _in_unlock = (partial(_promise, ins) for ins in (Ins.PUT_DATE, Ins.LOCK_OUT, Ins.UNLOCK))


def _begin(state: LifeCycle, run: Run, stand: Stand) -> None:
    _come_into(stand, state)
    run(stand)


def _come_into(stand: Stand, state: LifeCycle) -> None:
    if state is LOCKED_OUT:
        stand.locked()
        return
    if stand.card.state is LOCKED_OUT:
        stand.unlock()
    stand.card.fresh()


def _put_date(stand: Stand, head: bytes, sw: int = W.OK) -> None:
    stand.card.send(Ins.PUT_DATE, {Tag.HEAD: head}, sw, ne=None)


def _lock_out(stand: Stand, head: bytes, proof: bytes, sw: int = W.OK) -> None:
    stand.card.send(Ins.LOCK_OUT, {Tag.HEAD: head, Tag.PROOF: proof}, sw, ne=None)


def _lock_out_by(stand: Stand, edition: Edition, sw: int = W.OK) -> None:
    _lock_out(stand, edition.head.raw, edition.tree.prove(SERIAL).encode(), sw)


def _unlock(stand: Stand, order: bytes, sw: int = W.OK) -> None:
    stand.card.send(Ins.UNLOCK, {Tag.ORDER: order}, sw, ne=None)


def _order(stand: Stand, edition: int, serial: int = SERIAL) -> bytes:
    return Signed.make(UnlockOrder(ORDERS, stand.issuer.id(serial), edition), stand.issuer.orders).raw


def _seen(stand: Stand) -> int:
    """The newest edition that the card has seen."""
    return stand.card.twin.cells.edition.number()


def _wrongly_signed(stand: Stand, raw: bytes, at: int) -> Iterator[bytes]:
    yield from forgeries(raw, stand.issuer.orders, at)
    yield from signed_by_other_center_keys(raw, stand.issuer)


def _of_others(stand: Stand, head: Head) -> Iterator[bytes]:
    """Heads of another issuer, signed with its own key and with ours."""
    other = replace(head, issuer=2)
    for key in (Issuer(2).orders, stand.issuer.orders):
        yield Signed.make(other, key).raw


# --- PUT DATE --------------------------------------------------------------------------------------------------


@_in_date("PUT DATE 1", "a head has its layout")
def _head_layout(stand: Stand) -> None:
    _put_date(stand, stand.edition().head.raw)
    for wrong in misshapen(stand.edition().head.raw):
        _put_date(stand, wrong, W.WRONG_DATA)


@_in_date("PUT DATE 2", "heads of another issuer are declined, whoever signed them")
def _head_of_others(stand: Stand) -> None:
    for other in _of_others(stand, stand.edition().head.body):
        _put_date(stand, other, W.NOT_THIS_CARD)
    old = replace(stand.edition().head.body, issuer=2, edition=0)
    _put_date(stand, Signed.make(old, stand.issuer.orders).raw, W.NOT_THIS_CARD)


@_in_date("PUT DATE 3", "a head of an older edition is declined and moves no date")
def _older_head(stand: Stand) -> None:
    _put_date(stand, stand.edition(ahead=2).head.raw)
    _put_date(stand, stand.edition(ahead=0).head.raw)
    for older in (_seen(stand) - 1, 0):
        _put_date(stand, stand.issuer.edition(older, time=stand.now + 10).head.raw, W.OLDER)


@_in_date("PUT DATE 4", "a head that is not signed by the center's key for orders is declined", LOCKED_OUT)
def _forged_head(stand: Stand) -> None:
    _put_date(stand, twin_of(stand.edition().head.raw))
    later = stand.issuer.edition(_seen(stand) + 1, time=stand.now + 10).head.raw
    for forged in _wrongly_signed(stand, later, _TIME):
        _put_date(stand, forged, W.SIGNATURE_INVALID)


def _kept(stand: Stand, head: Signed[Head], date: int) -> None:
    """The head is kept and its edition seen; the card's date is what it must be."""
    session = stand.card.session()
    must(session.get_head() == head, "GET DATA 0105 does not give the head that was accepted last")
    must(session.selected.status.edition == head.body.edition, "the newest edition is not that of the head")
    must(session.get_counters().date == date, f"the date is not {date}")


@_in_date(
    "PUT DATE", "a head is kept and its edition seen; the date moves to its time, only forward", ACTIVE, LOCKED_OUT
)
def _forward(stand: Stand) -> None:
    now, first = stand.now, _seen(stand) + 1
    for edition, time, date in (
        (first, now + 2, now + 2),
        (first + 1, now - 9, now + 2),
        (first + 1, now + 3, now + 3),
    ):
        head = stand.issuer.edition(edition, _OTHER, time=time).head
        _put_date(stand, head.raw)
        _kept(stand, head, date)


@case("GET DATA 3", "before the first head there is none to read, and an older one than any is edition 0", spare=True)
def _no_head(stand: Stand) -> None:
    stand.card.fresh()
    stand.card.send(Ins.GET_DATA, sw=W.DATA_NOT_FOUND, p1=0x01, p2=0x05)
    head = stand.issuer.edition(0, time=NOW - 1).head
    _put_date(stand, head.raw)
    _kept(stand, head, NOW)


# --- LOCK OUT --------------------------------------------------------------------------------------------------


def _listing(stand: Stand) -> tuple[Edition, Proof]:
    """An edition that lists the card and some others, and the card's proof with three siblings."""
    edition = stand.edition(SERIAL, _OTHER, 77, 1 * _BLOCK, 2 * _BLOCK, 3 * _BLOCK, 4 * _BLOCK + SERIAL)
    return edition, edition.tree.prove(SERIAL)


@_in_lock_out("LOCK OUT 1", "a proof has 35 bytes and 24 for each fork")
def _proof_sizes(stand: Stand) -> None:
    edition, proof = _listing(stand)
    good = proof.encode()
    counts = (replace(proof, forks=forks).encode() for forks in (proof.forks & proof.forks - 1, proof.forks | 1 << 23))
    for wrong in (*cut_or_long(good), good[:34], good[:35], good[:-24], good + good[-24:], *counts):
        _lock_out(stand, edition.head.raw, wrong, W.WRONG_DATA)


@_in_lock_out("LOCK OUT 2", "the head has its layout")
def _listing_layout(stand: Stand) -> None:
    edition, proof = _listing(stand)
    for wrong in misshapen(edition.head.raw):
        _lock_out(stand, wrong, proof.encode(), W.WRONG_DATA)


@_in_lock_out("LOCK OUT 3", "an edition of another issuer locks nobody out, whoever signed it")
def _listing_of_others(stand: Stand) -> None:
    edition, proof = _listing(stand)
    for other in _of_others(stand, edition.head.body):
        _lock_out(stand, other, proof.encode(), W.NOT_THIS_CARD)


@_in_lock_out("LOCK OUT 4", "an older edition locks nobody out", LOCKED_OUT)
def _older_listing(stand: Stand) -> None:
    _put_date(stand, stand.edition(ahead=2).head.raw)
    for older in (_seen(stand) - 1, 0):
        _lock_out_by(stand, stand.issuer.edition(older, SERIAL, time=stand.now + 10), W.OLDER)


@_in_lock_out("LOCK OUT 5", "an edition that the center did not sign locks nobody out")
def _forged_listing(stand: Stand) -> None:
    edition, proof = _listing(stand)
    for forged in _wrongly_signed(stand, edition.head.raw, _TIME):
        _lock_out(stand, forged, proof.encode(), W.SIGNATURE_INVALID)


@_in_lock_out("LOCK OUT 6", "a proof that others are listed locks nobody out", ACTIVE, LOCKED_OUT)
def _not_listed(stand: Stand) -> None:
    for serial in (_OTHER, SERIAL + _BLOCK, SERIAL + 16, SERIAL << 24):
        edition = stand.edition(serial)
        _lock_out(stand, edition.head.raw, edition.tree.prove(serial).encode(), W.NOT_LISTED)
    many = stand.edition(_OTHER, SERIAL + _BLOCK, SERIAL + 2 * _BLOCK)
    for serial in (_OTHER, SERIAL + _BLOCK):
        _lock_out(stand, many.head.raw, many.tree.prove(serial).encode(), W.NOT_LISTED)


def _spoilt(proof: Proof) -> Iterator[Proof]:
    """The proof with each of its parts changed."""
    bitmap, siblings = proof.bitmap, proof.siblings
    yield replace(proof, bitmap=bytes((bitmap[0] & 0xDF,)) + bitmap[1:])
    yield replace(proof, bitmap=bytes((bitmap[0] ^ 0x80,)) + bitmap[1:])
    yield replace(proof, bitmap=bitmap[:-1] + bytes((bitmap[-1] ^ 0x01,)))
    for k in range(len(siblings)):
        spoilt = siblings[k][:-1] + bytes((siblings[k][-1] ^ 0x01,))
        yield replace(proof, siblings=(*siblings[:k], spoilt, *siblings[k + 1 :]))
    yield replace(proof, siblings=siblings[::-1])


@_in_lock_out("LOCK OUT 6", "a proof in which any part was changed, or of another edition, locks nobody out")
def _spoilt_proofs(stand: Stand) -> None:
    edition, proof = _listing(stand)
    for spoilt in (*_spoilt(proof), Proof(proof.bitmap, 0, ())):
        _lock_out(stand, edition.head.raw, spoilt.encode(), W.NOT_LISTED)
    for other in (stand.edition(SERIAL), stand.edition()):
        _lock_out(stand, other.head.raw, proof.encode(), W.NOT_LISTED)
    stand.audit()
    _lock_out(stand, edition.head.raw, proof.encode())
    stand.unlock()


@case("The proof", "forks lie on the side that the card's own block number says", LifeCycle.BLANK, spare=True)
def _sides(stand: Stand) -> None:
    """The card under test is in block 0, always on the left: this takes a card of another serial."""
    serial, usual = 0x5A3C9602, stand.issuer_data()
    data = replace(usual, parameters=stand.issuer.parameters(serial))
    stand.secure().personalize(data, lambda p: (stand.issuer.certificate(serial, p), stand.issuer.credit(serial, 1)))
    stand.card.fresh()
    edition = stand.edition(serial, *(serial ^ _BLOCK << k for k in (0, 2, 5, 11, 23)))
    proof = edition.tree.prove(serial)
    turned = replace(proof, forks=proof.forks << 1 & 0xFFFFFF | proof.forks >> 23)
    for spoilt in (turned, Proof(proof.bitmap, 0, ()), *_spoilt(proof)):
        _lock_out(stand, edition.head.raw, spoilt.encode(), W.NOT_LISTED)
    every = stand.edition(serial, *(serial ^ _BLOCK << k for k in range(DEPTH)))
    for listing in (edition, every):
        _lock_out(stand, listing.head.raw, listing.tree.prove(serial).encode())


@_in_lock_out("LOCK OUT", "the proof locks the card out, by the edition that it has seen already too")
def _locked(stand: Stand) -> None:
    edition = stand.issuer.edition(_seen(stand) + 1, SERIAL, time=stand.now + 1)
    _put_date(stand, edition.head.raw)
    _lock_out_by(stand, edition)
    stand.card.select(W.SELECTED_LOCKED_OUT)
    stand.unlock()


@_in_lock_out("LOCK OUT", "a locked-out card says success again, and keeps the newer head and its date", LOCKED_OUT)
def _again(stand: Stand) -> None:
    for ahead in (0, 1, 0):
        edition = stand.issuer.edition(_seen(stand) + ahead, SERIAL, time=stand.now + ahead)
        _lock_out_by(stand, edition)
        _kept(stand, edition.head, stand.now)


def _longest(stand: Stand) -> bytes:
    """Data of LOCK OUT with a proof of 611 bytes: one sibling for each bit of a block number."""
    edition = stand.edition(SERIAL, *(_BLOCK << k for k in range(DEPTH)))
    return pack({Tag.HEAD: edition.head.raw, Tag.PROOF: edition.tree.prove(SERIAL).encode()})


@_in_lock_out("LOCK OUT", "the longest proof comes in three short commands, in other parts, or at once", LOCKED_OUT)
def _in_parts(stand: Stand) -> None:
    stand.card.send(Ins.LOCK_OUT, _longest(stand), ne=None)
    data = _longest(stand)
    for start, end in ((0, 1), (1, 200), (200, 455), (455, 455), (455, 700)):
        stand.card.raw(CommandApdu(0x80 | CHAINING, Ins.LOCK_OUT, 0, 0, data[start:end]), W.OK)
    stand.card.raw(CommandApdu(0x80, Ins.LOCK_OUT, 0, 0, data[700:]), W.OK)
    if stand.card.in_process and stand.card.twin.protocol is Protocol.T1:
        stand.card.raw(CommandApdu(0x80, Ins.LOCK_OUT, 0, 0, _longest(stand)), W.OK)


# --- the locked-out card ---------------------------------------------------------------------------------------


@case(
    "Life cycle",
    "a locked-out card moves no money, takes no credit, counts no tries; unlocked it goes on",
    LOCKED_OUT,
)
def _moves_nothing(stand: Stand) -> None:
    stand.ready()
    partner = stand.partner()
    paid = stand.paid(partner.asks(10))
    receipt, value = partner.answers(paid), partner.pays(stand.requested(20, partner))
    stand.locked()
    stand.request(5, partner.card, W.LOCKED_OUT)
    stand.pay(partner.asks(5), W.LOCKED_OUT)
    stand.receive(value, W.LOCKED_OUT)
    stand.settle(receipt, W.LOCKED_OUT)
    stand.settle(stand.resolution(paid.value.body.counter), W.LOCKED_OUT)
    stand.give_again(paid.value.body.counter, W.LOCKED_OUT)
    credit = stand.issuer.credit(SERIAL, stand.credit.serial + 1, seen=stand.credit.seen)
    stand.card.send(Ins.PUT_CREDIT, {Tag.CREDIT: credit.raw}, W.LOCKED_OUT)
    codes = {Ins.VERIFY: PUK, Ins.CHANGE_REFERENCE_DATA: PUK + PIN, Ins.RESET_RETRY_COUNTER: PIN + PIN}
    for ins, data in codes.items():
        stand.card.send(ins, data, W.LOCKED_OUT, p2=PIN_REFERENCE)
    stand.audit()
    stand.unlock()
    stand.card.fresh()
    stand.answered(value)
    stand.settle(receipt)


# --- UNLOCK ----------------------------------------------------------------------------------------------------


@_in_unlock("UNLOCK 1", "the order has the layout of one to unlock", LOCKED_OUT)
def _order_layout(stand: Stand) -> None:
    good = _order(stand, _seen(stand) + 1)
    for wrong in (*misshapen(good), stand.terminate_order().raw):
        _unlock(stand, wrong, W.WRONG_DATA)


@_in_unlock("UNLOCK 2", "an order for another card or another issuer's unlocks nothing", LOCKED_OUT)
def _order_of_others(stand: Stand) -> None:
    lowest = _seen(stand) + 1
    foreign = UnlockOrder(ORDERS, Issuer(2).id(SERIAL), lowest)
    for other in (_order(stand, lowest, _OTHER), _order(stand, 0, _OTHER), _signed(stand, foreign)):
        _unlock(stand, other, W.NOT_THIS_CARD)


def _signed(stand: Stand, body: BodyT) -> bytes:
    return Signed.make(body, stand.issuer.orders).raw


@_in_unlock("UNLOCK 3", "an order that is not above the newest edition unlocks nothing", LOCKED_OUT)
def _low_order(stand: Stand) -> None:
    for low in (0, _seen(stand) - 1, _seen(stand)):
        _unlock(stand, _order(stand, low), W.OLDER)


@_in_unlock("UNLOCK 4", "an order that the center did not sign unlocks nothing", LOCKED_OUT)
def _forged_order(stand: Stand) -> None:
    good = _order(stand, _seen(stand) + 4)
    for forged in _wrongly_signed(stand, good, UnlockOrder.SIZE - 1):
        _unlock(stand, forged, W.SIGNATURE_INVALID)
    stand.audit()
    _unlock(stand, twin_of(good))


@_in_unlock("UNLOCK", "an order raises the edition: heads below it are void, and it never unlocks twice", LOCKED_OUT)
def _raises(stand: Stand) -> None:
    lowest = _seen(stand) + 3
    order, kept = _order(stand, lowest), stand.card.session().get_head()
    _unlock(stand, order)
    session = stand.card.session()
    must(session.selected.status.edition == lowest, "the newest edition is not that of the order")
    must(session.get_head() == kept, "the kept head has changed")
    _lock_out_by(stand, stand.issuer.edition(lowest - 1, SERIAL, time=stand.now), W.OLDER)
    _put_date(stand, stand.issuer.edition(lowest - 1, time=stand.now).head.raw, W.OLDER)
    _lock_out_by(stand, stand.issuer.edition(lowest, SERIAL, time=stand.now))
    _unlock(stand, order, W.OLDER)
    _unlock(stand, _order(stand, lowest + 1))
