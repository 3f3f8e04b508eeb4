"""Cases on how long a PIN counts as verified: through every command but PAY, one by one."""

from collections.abc import Iterator

from apdu.commands import Ins
from apdu.messages import Signed, UnlockOrder
from apdu.payload import Tag
from host.session import Paid
from saifu.conformance.case import case
from saifu.conformance.issuer import ORDERS
from saifu.conformance.partner import Partner
from saifu.conformance.stand import SERIAL, Stand

__all__: list[str] = []


def _business(stand: Stand, partner: Partner, paid: Paid) -> Iterator[Ins]:
    """Every command but PAY that leaves an active card active; each is yielded when it is done."""
    stand.renew()
    yield Ins.PUT_CREDIT
    stand.card.send(Ins.ATTEST, {Tag.CHALLENGE: bytes(16)})
    yield Ins.ATTEST
    stand.card.send(Ins.PUT_DATE, {Tag.HEAD: stand.edition().head.raw}, ne=None)
    yield Ins.PUT_DATE
    asked = stand.requested(1, partner)
    yield Ins.REQUEST
    stand.answered(partner.pays(asked))
    yield Ins.RECEIVE
    stand.give_again(paid.value.body.counter)
    yield Ins.GIVE_AGAIN
    stand.settle(partner.answers(paid))
    yield Ins.SETTLE
    stand.card.send(Ins.READ_RECORD, p1=1, p2=0x0C)
    yield Ins.READ_RECORD


@case("VERIFY", "the PIN stays verified through each command of an active card but PAY", ins=Ins.VERIFY)
def _through_business(stand: Stand) -> None:
    stand.ready()
    partner = stand.partner()
    paid = stand.paid(partner.asks(1))
    stand.verify()
    for _ in _business(stand, partner, paid):
        stand.verify(b"")


@case("VERIFY", "the PIN stays verified while the card is locked out and unlocked in one selection", ins=Ins.VERIFY)
def _through_lock_out(stand: Stand) -> None:
    stand.ready()
    stand.verify()
    edition = stand.edition(SERIAL)
    stand.card.send(Ins.LOCK_OUT, {Tag.HEAD: edition.head.raw, Tag.PROOF: edition.tree.prove(SERIAL).encode()}, ne=None)
    order = Signed.make(UnlockOrder(ORDERS, stand.id, edition.number + 1), stand.issuer.orders)
    stand.card.send(Ins.UNLOCK, {Tag.ORDER: order.raw}, ne=None)
    stand.verify(b"")
