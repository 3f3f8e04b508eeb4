"""Lock-out is the center's act: LOCK OUT, UNLOCK and TERMINATE [0016]; and PUT DATE through signed heads.

A terminal alone can lock nobody's card: the card wants the center's head and the proof that its own
serial is listed, in an edition not older than one it has seen.
"""

from apdu.errors import FormatError
from apdu.messages import Head, Signed, TerminateOrder, UnlockOrder
from apdu.payload import Tag
from apdu.proof import Proof
from apdu.response import ResponseApdu
from apdu.status import StatusWord
from applet_model.card_state import Call, CardState
from applet_model.decline import Decline, unless
from applet_model.life_cycle import Event
from applet_model.memory import Transaction

__all__ = ["lock_out", "put_date", "terminate", "unlock"]


def _head(card: CardState, raw: bytes) -> Signed[Head]:
    """Check a head: our issuer (950C), not older than what was seen (950D), the center's (950B)."""
    signed = card.decode(Head, raw)
    unless(signed.body.issuer == card.certificate.subject.issuer, StatusWord.NOT_THIS_CARD)
    unless(signed.body.edition >= card.cells.edition.number(), StatusWord.OLDER)
    card.center_signed(signed, signed.body.key)
    return signed


def _keep(card: CardState, tx: Transaction, signed: Signed[Head]) -> None:
    """Keep head, edition and date; the date only moves forward, in the same transaction."""
    cells = card.cells
    tx.put(cells.head, signed.raw)
    tx.put(cells.head_known, 1)
    tx.put(cells.edition, signed.body.edition)
    tx.put(cells.date, max(cells.date.number(), signed.body.time))


def put_date(card: CardState, call: Call) -> ResponseApdu:
    """PUT DATE."""
    signed = _head(card, call.objects[Tag.HEAD])
    with card.cells.memory.transaction() as tx:
        _keep(card, tx, signed)
    return ResponseApdu()


def lock_out(card: CardState, call: Call) -> ResponseApdu:
    """LOCK OUT: S108, S206, S308; a card that is locked out already says so with success again."""
    try:
        proof = Proof.decode(call.objects[Tag.PROOF])
    except FormatError:
        raise Decline(StatusWord.WRONG_DATA) from None
    signed = _head(card, call.objects[Tag.HEAD])
    serial = card.certificate.subject.serial
    unless(proof.lists(serial) and proof.root(serial) == signed.body.root, StatusWord.NOT_LISTED)
    with card.cells.memory.transaction() as tx:
        card.move(tx, Event.LOCK_OUT)
        _keep(card, tx, signed)
    return ResponseApdu()


def unlock(card: CardState, call: Call) -> ResponseApdu:
    """UNLOCK: the order's edition must lie above the one that locked the card, so no old order unlocks it."""
    signed = card.decode(UnlockOrder, call.objects[Tag.ORDER])
    order, cells = signed.body, card.cells
    unless(order.card == card.certificate.subject, StatusWord.NOT_THIS_CARD)
    unless(order.edition > cells.edition.number(), StatusWord.OLDER)
    card.center_signed(signed, order.key)
    with cells.memory.transaction() as tx:
        card.move(tx, Event.UNLOCK)
        tx.put(cells.edition, order.edition)
    return ResponseApdu()


def terminate(card: CardState, call: Call) -> ResponseApdu:
    """TERMINATE: an order that was not brought in time ends no life."""
    signed = card.decode(TerminateOrder, call.objects[Tag.ORDER])
    now = card.now(call)
    unless(signed.body.card == card.certificate.subject, StatusWord.NOT_THIS_CARD)
    unless(now <= signed.body.expiry, StatusWord.ORDER_EXPIRED)
    card.center_signed(signed, signed.body.key)
    with card.cells.memory.transaction() as tx:
        card.move(tx, Event.TERMINATE)
    return ResponseApdu()
