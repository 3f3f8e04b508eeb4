"""Cases on transfers that a card which is stricter than the tables would decline, and one that a lax card lets pass.

A check that the protocol does not name is a fault as well: money that is on its way would not arrive.
"""

from dataclasses import replace

from apdu.commands import Ins
from apdu.identity import CardId
from apdu.messages import Receipt, Refusal
from apdu.status import StatusWord as W
from saifu.conformance.case import case
from saifu.conformance.provoking import begun, close, dated, fill, must_credit, require_places
from saifu.conformance.stand import Stand
from saifu.conformance.subject import must

__all__: list[str] = []

_END_OF_TIME = 0xFFFF_FFFF
"""The last date that there is: beyond the expiry of every card under test."""


# --- paying --------------------------------------------------------------------------------------------------


@case("PAY", "one request is paid twice while the first payment is unsettled: the payee refuses one", ins=Ins.PAY)
def _paid_twice(stand: Stand) -> None:
    require_places(stand, 2)
    stand.ready()
    payee, before = stand.partner(), stand.balance
    asked = payee.asks(5)
    first, second = stand.paid(asked), stand.paid(asked)
    stand.settle(payee.answers(second, Refusal))
    stand.settle(payee.answers(first, Receipt))
    must(stand.balance == before - 5, "of two payments for one request not exactly the refused one came back")


# --- asking and receiving ------------------------------------------------------------------------------------


@case("REQUEST 9", "the request that is given up keeps no room from the one behind it", ins=Ins.REQUEST)
def _given_up(stand: Stand) -> None:
    stand.ready()
    payer = stand.partner()
    fill(stand, stand.card.twin.cells.history_capacity - 1)
    for _ in range(2):
        stand.request(1, payer.card)
    close(stand)


@case("RECEIVE 9", "of the two certificates only the payer's is judged by date: money arrives", ins=Ins.RECEIVE)
def _own_certificate(stand: Stand) -> None:
    stand.ready()
    payer = stand.partner(expiry=_END_OF_TIME)
    must_credit(stand, payer.pays(stand.requested(1, payer)), dated(_END_OF_TIME))


def _request_zero(stand: Stand) -> None:
    payer, asked = begun(stand)
    value = payer.pays(asked).value.body
    stand.receive(payer.gives(replace(value, request=0)), W.BEYOND_HISTORY)


case("RECEIVE 11", "request 0 is not above the floor, wherever that is", ins=Ins.RECEIVE)(_request_zero)
case("RECEIVE 11", "request 0 is at the floor of a new card", ins=Ins.RECEIVE, spare=True)(_request_zero)


# --- settling ------------------------------------------------------------------------------------------------


@case("SETTLE 5", "the payee's serial at another issuer is another card", ins=Ins.SETTLE)
def _other_issuer(stand: Stand) -> None:
    stand.ready()
    payee = stand.partner()
    paid = stand.paid(payee.asks(1))
    for step in (0x0001, 0x0100):
        other = CardId.of(payee.card.issuer ^ step, payee.card.serial)
        for kind in (Receipt, Refusal):
            stand.settle(payee.answers(paid, kind, other), W.NOT_THIS_CARD)
    stand.settle(payee.answers(paid))
