"""Cases on signatures whose r and s are so small that 32 bytes hold them with the order added: they are none then."""

from collections.abc import Iterator
from dataclasses import replace

from apdu.commands import Ins
from apdu.messages import Receipt
from apdu.payload import Tag
from apdu.signature import ORDER
from apdu.status import StatusWord as W
from host.session import Paid
from saifu.conformance.case import case
from saifu.conformance.partner import small_signature
from saifu.conformance.provoking import begun, must_credit
from saifu.conformance.stand import Stand

__all__: list[str] = []


def _with_order_added(raw: bytes) -> Iterator[bytes]:
    """A small signature, to which the order of the curve is added: to r, to s, to both."""
    body, r, s = raw[:-64], int.from_bytes(raw[-64:-32]), int.from_bytes(raw[-32:])
    for more_r, more_s in ((0, ORDER), (ORDER, 0), (ORDER, ORDER)):
        yield body + (r + more_r).to_bytes(32) + (s + more_s).to_bytes(32)


@case("Signatures", "r and s of a value are less than the order, and are not taken modulo the order", ins=Ins.RECEIVE)
def _small_in_a_value(stand: Stand) -> None:
    payer, asked = begun(stand)
    point, value = small_signature(payer.pays(asked).value.body)
    paid = Paid(stand.issuer.certificate(payer.card.serial, point), value)
    for wrong in _with_order_added(value.raw):
        stand.receive(paid, W.SIGNATURE_INVALID, {Tag.VALUE: wrong})
    must_credit(stand, paid)


@case("Signatures", "r and s of a receipt are less than the order, and are not taken modulo the order", ins=Ins.SETTLE)
def _small_in_a_receipt(stand: Stand) -> None:
    stand.ready()
    payee, counter = stand.partner(), stand.card.twin.cells.payments.number() + 1
    point, receipt = small_signature(Receipt(stand.id, counter, payee.card))
    stand.pay(replace(payee.asks(1), certificate=stand.issuer.certificate(payee.card.serial, point)))
    for wrong in _with_order_added(receipt.raw):
        stand.card.send(Ins.SETTLE, {Tag.RECEIPT: wrong}, W.SIGNATURE_INVALID, ne=None)
    stand.settle(receipt)
