"""The credit check unit in a terminal [0034]: only under the center's order, for this terminal, in its time."""

from dataclasses import replace

import pytest

from apdu.errors import AuthenticityError, RefusedError
from apdu.messages import CheckOrder, Credit, Signed
from apdu.money import currency
from host.terminal.credit_check import CreditCheckUnit
from host.terminal.trust import Trust
from tests.applet_model.purses import Purse, personalized
from tests.issuer import CERTIFICATION, FAR, NOW, ORDERS, Issuer, transfer

ISSUER, STRANGER = Issuer(), Issuer(seed=1)
TRUST = Trust(1, currency("EUR"), ISSUER.keys)
TERMINAL, LATER = 7, NOW + 1000


def order(issuer: Issuer = ISSUER, key: int = ORDERS) -> Signed[CheckOrder]:
    return Signed.make(CheckOrder(key, TERMINAL, LATER), issuer.orders)


def unit() -> CreditCheckUnit:
    return CreditCheckUnit(TERMINAL, order(), TRUST)


def purse() -> Purse:
    """A card whose credit allows two payments of 300 in all."""
    return Purse(personalized(5, allowed=(2, 300), issuer=ISSUER))


def store_credit(card: Purse, credit: Signed[Credit]) -> Purse:
    """Write it into the card's memory: by its commands the card would not take it."""
    card.put("credit", credit.raw)
    return card


def test_a_card_in_order_passes_until_the_order_ends() -> None:
    unit().check(purse().session(), NOW)
    unit().check(purse().session(), LATER)
    with pytest.raises(RefusedError, match="has expired: ask for a new one"):
        unit().check(purse().session(), LATER + 1)


def test_an_order_for_another_terminal_starts_nothing() -> None:
    with pytest.raises(AuthenticityError, match="not for this terminal"):
        CreditCheckUnit(TERMINAL + 1, order(), TRUST)


def test_a_forged_order_starts_nothing() -> None:
    with pytest.raises(AuthenticityError, match="does not verify"):
        CreditCheckUnit(TERMINAL, order(STRANGER), TRUST)


def test_an_order_whose_end_was_moved_starts_nothing() -> None:
    signed = order()
    later = replace(signed.body, expiry=FAR)
    stretched = Signed.decode(CheckOrder, later.encode() + signed.raw[CheckOrder.SIZE :])
    with pytest.raises(AuthenticityError, match="does not verify"):
        CreditCheckUnit(TERMINAL, stretched, TRUST)


@pytest.mark.parametrize("key", [CERTIFICATION, 99])
def test_an_order_under_another_key_starts_nothing(key: int) -> None:
    with pytest.raises(AuthenticityError, match="its key is not known"):
        CreditCheckUnit(TERMINAL, order(key=key), TRUST)


def test_credit_counts_to_its_last_moment() -> None:
    card = store_credit(purse(), ISSUER.credit(5, 1, expiry=NOW + 10))
    unit().check(card.session(), NOW + 10)
    with pytest.raises(RefusedError, match="out of date"):
        unit().check(card.session(), NOW + 11)


def test_another_cards_credit_does_not_pass() -> None:
    with pytest.raises(RefusedError, match="out of date"):
        unit().check(store_credit(purse(), ISSUER.credit(6, 1)).session(), NOW)


def test_credit_that_the_center_did_not_sign_does_not_pass() -> None:
    with pytest.raises(AuthenticityError):
        unit().check(store_credit(purse(), STRANGER.credit(5, 1)).session(), NOW)


def test_credit_under_an_unknown_key_does_not_pass() -> None:
    unknown = Signed.make(replace(ISSUER.credit(5, 1).body, key=99), ISSUER.orders)
    with pytest.raises(RefusedError, match="not the center's"):
        unit().check(store_credit(purse(), unknown).session(), NOW)


@pytest.mark.parametrize(("amounts", "used_up"), [((100,), False), ((300,), True), ((100, 100), True)])
def test_credit_that_is_used_up_does_not_pass(amounts: tuple[int, ...], used_up: bool) -> None:
    payer, shop, giver = purse(), ISSUER.purse(6), ISSUER.purse(7, initial=1000)
    transfer(giver, payer.slot, 500)
    for amount in amounts:
        transfer(payer.slot, shop, amount)
    if used_up:
        with pytest.raises(RefusedError, match="is used up"):
            unit().check(payer.session(), NOW)
    else:
        unit().check(payer.session(), NOW)
