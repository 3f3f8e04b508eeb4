"""Credit information store (37) and credit check unit (39): [0030] to [0033], figs. 7 and 8.

The check judges the credit information together with the card's history and balance. It sees a change of the
balance, of the chain and of the newest record; one of older records it cannot see, the center can.
"""

from apdu.messages import Credit
from apdu.payload import Tag
from apdu.response import ResponseApdu
from apdu.status import StatusWord
from applet_model import history
from applet_model.card_state import Call, CardState
from applet_model.decline import unless

__all__ = ["check", "check_allowance", "put_credit"]


def check(card: CardState, now: int) -> None:
    """Decline unless the credit is in date (9502) and history and balance agree (6985) [0033]."""
    unless(now <= card.credit.expiry, StatusWord.CREDIT_EXPIRED)
    unless(history.agrees(card), StatusWord.CONDITIONS_OF_USE)


def check_allowance(card: CardState, amount: int) -> None:
    """Decline with 9503 when the number or the amount of payments until renewal is used up."""
    credit, cells = card.credit, card.cells
    count, paid = cells.used_count.number() + 1, cells.used_amount.number() + amount
    unless(count <= credit.count and paid <= credit.amount, StatusWord.CREDIT_LIMIT)


def put_credit(card: CardState, call: Call) -> ResponseApdu:
    """PUT CREDIT: only this card's, only a higher serial, only the center's; the counts begin anew."""
    signed = card.decode(Credit, call.objects[Tag.CREDIT])
    credit, cells, old = signed.body, card.cells, card.credit
    unless(credit.card == card.certificate.subject, StatusWord.NOT_THIS_CARD)
    unless(credit.serial > old.serial and credit.seen >= old.seen, StatusWord.OLDER)
    unless(credit.seen <= cells.record.number(), StatusWord.WRONG_DATA)
    card.center_signed(signed, credit.key)
    with cells.memory.transaction() as tx:
        tx.put(cells.credit, signed.raw)
        tx.put(cells.used_count, 0)
        tx.put(cells.used_amount, 0)
        tx.put(cells.date, max(cells.date.number(), credit.issued))
    return ResponseApdu()
