"""The cases on purses of other parameters and roles hold on the model; each wrong card fails at its clause alone."""

from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from unittest.mock import patch

import pytest

from apdu.commands import Ins
from apdu.identity import Role
from apdu.messages import Certificate
from apdu.objects import Parameters, Request
from apdu.payload import Tag
from apdu.protocol import Protocol
from apdu.response import ResponseApdu
from apdu.status import StatusWord
from applet_model import credit, history, personalization, purse
from applet_model.card_state import Call, CardState
from applet_model.decline import unless
from saifu.conformance import cases_b_parameters
from saifu.conformance.issuer import EUR
from tests.saifu.conformance.case_runs import CARDS, Broken, cases_of, failed, failing_clauses, skipped
from tests.saifu.conformance.mutants import Handler, handler, put

OURS = cases_of(cases_b_parameters)
PARTIES = "The parties"


@pytest.mark.parametrize("card", CARDS)
def test_they_hold(card: tuple[int, int, Protocol]) -> None:
    assert failed(OURS, card) == {}


@pytest.mark.parametrize("card", CARDS[:2])
def test_nothing_is_skipped_where_cards_can_be_made(card: tuple[int, int, Protocol]) -> None:
    assert skipped(OURS, card) == set()


# --- they bite -----------------------------------------------------------------------------------------------


def fixed(**parameters: int) -> AbstractContextManager[object]:
    """Some parameters are constants, whatever the card was given."""

    def of(card: CardState) -> Parameters:
        given = Parameters.decode(card.cells.parameters.get())
        return replace(given, **parameters)  # type: ignore[arg-type]  # fields that are numbers

    return patch.object(CardState, "parameters", property(of))


def fixed_at_activation() -> AbstractContextManager[object]:
    right = personalization._activate

    def activate(card: CardState) -> None:
        right(card)
        put(card, pin_tries=3, puk_tries=10)

    return patch.object(personalization, "_activate", activate)


def declines(ins: Ins, role: Role) -> AbstractContextManager[object]:
    """A card of this role does not take the command."""

    def decline(right: Handler, card: CardState, call: Call) -> ResponseApdu:
        unless(card.parameters.role is not role, StatusWord.CONDITIONS_OF_USE)
        return right(card, call)

    return handler(ins, decline)


def no_value_of_a_merchant() -> AbstractContextManager[object]:
    def receive(right: Handler, card: CardState, call: Call) -> ResponseApdu:
        payer = card.decode(Certificate, call.objects[Tag.CERTIFICATE]).body
        unless(payer.role is not Role.MERCHANT, StatusWord.NOT_THIS_CARD)
        return right(card, call)

    return handler(Ins.RECEIVE, receive)


def float_without_pin() -> AbstractContextManager[object]:
    right = purse._check_payment

    def check(card: CardState, wanted: Request, payee: Certificate, now: int) -> None:
        card.session.pin_verified |= card.parameters.role is Role.FLOAT
        right(card, wanted, payee, now)

    return patch.object(purse, "_check_payment", check)


def no_money_without_a_record() -> AbstractContextManager[object]:
    """Before the first record the balance has to be 0, and not what a float was made with."""

    def check(card: CardState, now: int) -> None:
        unless(now <= card.credit.expiry, StatusWord.CREDIT_EXPIRED)
        unless(bool(card.cells.record.number() or not card.cells.balance.number()), StatusWord.CONDITIONS_OF_USE)
        unless(history.agrees(card), StatusWord.CONDITIONS_OF_USE)

    return patch.object(credit, "check", check)


WRONG: dict[str, tuple[set[str], Broken]] = {
    "every purse holds 1000.00": ({"REQUEST"}, partial(fixed, balance_max=100_000)),
    "every transfer moves 500.00": ({"REQUEST", "PAY"}, partial(fixed, transfer_max=50_000)),
    "all money is euros": ({"REQUEST", "PAY"}, partial(fixed, currency=EUR)),
    "every purse pays 50.00 without PIN": ({"PAY"}, partial(fixed, pin_above=5_000)),
    "a right PIN gives 3 tries back": ({"STORE DATA"}, partial(fixed, pin_tries=3)),
    "a right resetting code gives 10 tries back": ({"STORE DATA"}, partial(fixed, puk_tries=10)),
    "there are 3 and 10 tries at activation": ({"STORE DATA"}, fixed_at_activation),
    "a merchant pays nobody": ({PARTIES}, partial(declines, Ins.PAY, Role.MERCHANT)),
    "a float asks nobody": ({PARTIES}, partial(declines, Ins.REQUEST, Role.FLOAT)),
    "a merchant's value is declined": ({PARTIES}, no_value_of_a_merchant),
    "a float pays without PIN": ({PARTIES}, float_without_pin),
    "a float has no money before its first record": ({PARTIES}, no_money_without_a_record),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_card_fails_at_its_clause_alone(name: str) -> None:
    clauses, broken = WRONG[name]
    assert failing_clauses(OURS, broken) == clauses
