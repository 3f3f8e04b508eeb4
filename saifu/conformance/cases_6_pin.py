"""Cases on the PIN in PAY: what is paid without it, once and in all; and what becomes of a PIN that was verified."""

from functools import partial

from apdu.commands import Ins
from apdu.messages import Outcome, Receipt, Refusal
from apdu.objects import NO_PIN_SUM, Counters
from apdu.payload import Tag, unpack
from apdu.status import StatusWord as W
from host.session import pin_block
from saifu.conformance.case import case
from saifu.conformance.partner import Partner
from saifu.conformance.provoking import MOST, made, new_purse, receive_from, through
from saifu.conformance.stand import Stand
from saifu.conformance.subject import must

__all__: list[str] = []

_case = partial(case, ins=Ins.PAY)
_LARGE, _REST = 0xF000_0000, 0x2000_0000
"""Two amounts whose sum does not fit 4 bytes."""


def _must_have_paid(stand: Stand, amount: int) -> None:
    """So much was paid without the PIN since the last payment with it, as the card tells."""
    raw = unpack(stand.card.send(Ins.GET_DATA, p1=0x01, p2=0x02), (Tag.COUNTERS,))[Tag.COUNTERS]
    told = Counters.decode(raw).without_pin
    must(told == amount, f"the card tells that {told} was paid without the PIN, and not {amount}")


def _begun(stand: Stand) -> tuple[int, Partner]:
    """A ready card that has paid nothing without the PIN; the amount that needs none, and whom to pay."""
    stand.ready(25_000)
    stand.begin_sum()
    return stand.parameters.pin_above, stand.partner()


def _used_up(stand: Stand, kind: type[Receipt | Refusal] = Receipt) -> Partner:
    """A card that has paid all that may be paid without the PIN."""
    limit, partner = _begun(stand)
    while (left := stand.parameters.pin_sum - stand.without_pin) > 0:
        through(stand, partner, min(left, limit), kind)
        if kind is Refusal:
            stand.renew()  # it takes two records
    return partner


# --- one payment, and all of them --------------------------------------------------------------------------


@_case("PAY 11", "the PIN is wanted above the purse's amount, each time")
def _above(stand: Stand) -> None:
    limit, partner = _begun(stand)
    through(stand, partner, limit)
    stand.pay(partner.asks(limit + 1), W.SECURITY_STATUS)
    stand.verify()
    through(stand, partner, limit + 1)
    stand.pay(partner.asks(limit + 1), W.SECURITY_STATUS)


@_case("PAY 11", "what is paid without the PIN adds up: to the purse's sum, and not a cent more")
def _sum(stand: Stand) -> None:
    limit, partner = _begun(stand)
    paid = 0
    while paid + limit < stand.parameters.pin_sum:
        through(stand, partner, limit)
        paid += limit
    left = stand.parameters.pin_sum - paid
    through(stand, partner, left - 1)
    stand.pay(partner.asks(2), W.SECURITY_STATUS)
    through(stand, partner, 1)
    stand.pay(partner.asks(1), W.SECURITY_STATUS)
    _must_have_paid(stand, stand.parameters.pin_sum)


@_case("PAY 11", "what was paid without the PIN is kept through a reset and SELECT")
def _sum_is_kept(stand: Stand) -> None:
    partner = _used_up(stand)
    stand.card.select()
    stand.pay(partner.asks(1), W.SECURITY_STATUS)
    stand.card.fresh()
    stand.pay(partner.asks(1), W.SECURITY_STATUS)


@_case("PAY", "a payment with the PIN begins the sum anew, though it needs none; a PIN that is only verified does not")
def _sum_anew(stand: Stand) -> None:
    limit, partner = _begun(stand)
    through(stand, partner, limit)
    stand.verify()
    _must_have_paid(stand, limit)
    through(stand, partner, 1)
    _must_have_paid(stand, 0)
    through(stand, partner, 2)
    _must_have_paid(stand, 2)


@_case("PAY", "a payment that is declined adds nothing to the sum")
def _declined_adds_nothing(stand: Stand) -> None:
    limit, partner = _begun(stand)
    stand.pay(partner.asks(limit + 1), W.SECURITY_STATUS)
    stand.pay(partner.asks(limit), W.CERTIFICATE_INVALID, {Tag.CERTIFICATE: partner.certificate.raw[:-32] + bytes(32)})
    _must_have_paid(stand, 0)


@case(
    "PUT CREDIT",
    "new credit information does not begin the sum of payments without the PIN anew",
    ins=Ins.PUT_CREDIT,
)
def _credit_leaves_the_sum(stand: Stand) -> None:
    partner = _used_up(stand)
    stand.renew()
    stand.pay(partner.asks(1), W.SECURITY_STATUS)


@case("SETTLE", "money that comes back does not lower what was paid without the PIN", ins=Ins.SETTLE)
def _refund_leaves_the_sum(stand: Stand) -> None:
    partner = _used_up(stand, Refusal)
    stand.pay(partner.asks(1), W.SECURITY_STATUS)
    stand.renew()
    stand.begin_sum()
    stand.renew()
    paid = stand.paid(partner.asks(5))
    stand.settle(stand.resolution(paid.value.body.counter, Outcome.NEVER_RECEIVED))
    _must_have_paid(stand, 5)


@case("RECEIVE", "money that is received does not lower what was paid without the PIN", ins=Ins.RECEIVE)
def _receipt_leaves_the_sum(stand: Stand) -> None:
    partner = _used_up(stand)
    receive_from(stand, partner, 100)
    stand.pay(partner.asks(1), W.SECURITY_STATUS)


# --- a PIN that was verified -------------------------------------------------------------------------------


@_case("PAY", "a payment uses the verified PIN up, whether it wanted the PIN or not")
def _pin_is_used_up(stand: Stand) -> None:
    limit, partner = _begun(stand)
    for amount in (limit + 1, 1):
        stand.verify()
        through(stand, partner, amount)
        stand.verify(b"", 0x63C0 | stand.parameters.pin_tries)
        stand.pay(partner.asks(limit + 1), W.SECURITY_STATUS)


@_case("PAY", "a payment that is declined does not use the verified PIN up")
def _declined_uses_nothing_up(stand: Stand) -> None:
    limit, partner = _begun(stand)
    stand.verify()
    for asked, sw, changed in (
        (partner.asks(0), W.TRANSFER_LIMIT, {}),
        (partner.asks(1, currency=stand.parameters.currency ^ 1), W.CURRENCY, {}),
        (partner.asks(stand.balance + 1), W.INSUFFICIENT_MONEY, {}),
        (partner.asks(1), W.CERTIFICATE_INVALID, {Tag.CERTIFICATE: partner.certificate.raw[:-32] + bytes(32)}),
    ):
        stand.pay(asked, sw, changed)
        stand.verify(b"")
    through(stand, partner, limit + 1)


@_case("PAY 11", "the PIN is forgotten at SELECT, at a reset, and when another is compared")
def _pin_is_forgotten(stand: Stand) -> None:
    limit, partner = _begun(stand)
    above = partial(partner.asks, limit + 1)
    stand.verify()
    stand.card.select()
    stand.pay(above(), W.SECURITY_STATUS)
    stand.verify()
    stand.card.fresh()
    stand.pay(above(), W.SECURITY_STATUS)
    stand.verify()
    stand.verify(pin_block("0000"), 0x63C0 | stand.parameters.pin_tries - 1)
    stand.pay(above(), W.SECURITY_STATUS)
    stand.verify()
    stand.pay(above())


# --- purses of other sums ----------------------------------------------------------------------------------


@new_purse("PAY 11", "a purse whose sum is less than its amount goes by the sum", Ins.PAY)
def _sum_below_the_amount(stand: Stand) -> None:
    made(stand, pin_above=10, pin_sum=4)
    partner = stand.partner()
    receive_from(stand, partner, 100)
    stand.pay(partner.asks(5), W.SECURITY_STATUS)
    through(stand, partner, 4)
    stand.pay(partner.asks(1), W.SECURITY_STATUS)


@new_purse("PAY 11", "a sum beyond 4 bytes is not cut when it is compared", Ins.PAY)
def _sum_is_not_cut(stand: Stand) -> None:
    made(stand, balance_max=MOST, transfer_max=MOST, pin_above=MOST, pin_sum=MOST - 1)
    partner = stand.partner()
    receive_from(stand, partner, _LARGE)
    through(stand, partner, _LARGE)
    receive_from(stand, partner, _REST)
    stand.renew(count=MOST, amount=MOST)
    stand.pay(partner.asks(_REST), W.SECURITY_STATUS)
    stand.verify()
    through(stand, partner, _REST)
    _must_have_paid(stand, 0)


@new_purse("PAY 11", "a sum of FFFFFFFF bounds nothing, and what is told stays there", Ins.PAY)
def _no_bound(stand: Stand) -> None:
    made(stand, balance_max=MOST, transfer_max=MOST, pin_above=MOST, pin_sum=NO_PIN_SUM)
    partner = stand.partner()
    for amount in (_LARGE, _REST, 1):
        receive_from(stand, partner, amount)
        stand.renew(count=MOST, amount=MOST)
        through(stand, partner, amount)
    _must_have_paid(stand, MOST)
