"""Cases on purses of other parameters and roles than the usual: each keeps to its own."""

from functools import partial

from apdu.commands import PIN_REFERENCE, Ins
from apdu.identity import Role
from apdu.status import StatusWord as W
from host.session import PurseSession, pin_block
from saifu.conformance.case import case
from saifu.conformance.issuer import EUR, PIN, PUK
from saifu.conformance.provoking import made, new_purse, receive_from, through
from saifu.conformance.stand import Stand
from saifu.conformance.subject import must

__all__: list[str] = []

_YEN = 392
_PIN_TRIES, _CODE_TRIES = 15, 2
_WRONG_PIN, _WRONG_CODE = pin_block("0000"), pin_block("00000000")


# --- parameters --------------------------------------------------------------------------------------------


@new_purse(
    "REQUEST", "a purse asks in the currency, and up to the amounts, that it was given: of a transfer, and in all",
    Ins.REQUEST,
)  # fmt: skip
def _asks_within_its_own(stand: Stand) -> None:
    made(stand, currency=_YEN, balance_max=300, transfer_max=100)
    payer = stand.partner()
    stand.request(101, payer.card, W.TRANSFER_LIMIT)
    for _ in range(3):
        receive_from(stand, payer, 100)
    stand.request(1, payer.card, W.BALANCE_LIMIT)


@new_purse(
    "PAY", "a purse pays in the currency, and up to the amounts, that it was given: of a transfer, and without the PIN",
    Ins.PAY,
)  # fmt: skip
def _pays_within_its_own(stand: Stand) -> None:
    made(stand, currency=_YEN, transfer_max=100, pin_above=10)
    partner = stand.partner()
    for _ in range(2):
        receive_from(stand, partner, 100)
    for amount, currency, sw in (
        (10, EUR, W.CURRENCY),
        (101, _YEN, W.TRANSFER_LIMIT),
        (11, _YEN, W.SECURITY_STATUS),
    ):
        stand.pay(partner.asks(amount, currency=currency), sw)
    for amount in (10, 100):
        stand.settle(partner.answers(stand.paid(partner.asks(amount, currency=_YEN))))
        stand.verify()


def _tries(stand: Stand) -> None:
    """All are left, as GET DATA 0108 tells."""
    told = PurseSession(stand.card).get_reference_data()
    must((told.pin_tries, told.puk_tries) == (_PIN_TRIES, _CODE_TRIES), "there are other tries than the card was given")


@new_purse("STORE DATA", "PIN and resetting code get the tries that the card was given, then and later", Ins.STORE_DATA)
def _own_tries(stand: Stand) -> None:
    made(stand, pin_tries=_PIN_TRIES, puk_tries=_CODE_TRIES)
    reset = partial(stand.card.send, Ins.RESET_RETRY_COUNTER, p2=PIN_REFERENCE, ne=None)
    for right in (stand.verify, partial(reset, PUK + PIN)):
        _tries(stand)
        stand.verify(_WRONG_PIN, 0x63C0 | _PIN_TRIES - 1)
        reset(_WRONG_CODE + PIN, 0x63C0 | _CODE_TRIES - 1)
        reset(PUK + PIN)
        right()
    _tries(stand)


# --- roles -------------------------------------------------------------------------------------------------


@case("The parties", "the payer's role changes nothing", ins=Ins.RECEIVE)
def _payers(stand: Stand) -> None:
    stand.ready()
    for role in Role:
        receive_from(stand, stand.partner(role), 1)


def _does_business(stand: Stand) -> None:
    """The purse asks, pays, above its amount with the PIN alone, and is paid."""
    partner, above = stand.partner(), stand.parameters.pin_above + 1
    stand.request(1, partner.card)
    stand.pay(partner.asks(above), W.SECURITY_STATUS)
    through(stand, partner)
    stand.verify()
    through(stand, partner, above)
    receive_from(stand, partner, 1)


@new_purse("The parties", "a merchant's card does business as any other")
def _merchant(stand: Stand) -> None:
    made(stand, Role.MERCHANT)
    receive_from(stand, stand.partner(), 10_000)
    _does_business(stand)


@new_purse("The parties", "a float does business as any other card, from the money that it was made with")
def _float(stand: Stand) -> None:
    made(stand, Role.FLOAT, initial=10_000)
    _does_business(stand)
