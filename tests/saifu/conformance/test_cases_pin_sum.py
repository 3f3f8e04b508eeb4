"""The cases on the PIN in PAY hold on the model, and each card that is wrong about sum or PIN fails at its clause."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from unittest.mock import patch

import pytest

from apdu.commands import Ins
from apdu.messages import Value
from apdu.protocol import Protocol
from apdu.response import ResponseApdu
from applet_model import purse
from applet_model.card import SmartCard
from applet_model.card_state import Call, CardState
from applet_model.decline import Decline
from saifu.conformance import cases_6_pin
from tests.saifu.conformance.case_runs import CARDS, Broken, cases_of, failed, failing_clauses, skipped
from tests.saifu.conformance.mutants import Handler, handler, put

OURS = cases_of(cases_6_pin)


@pytest.mark.parametrize("card", CARDS)
def test_they_hold(card: tuple[int, int, Protocol]) -> None:
    assert failed(OURS, card) == {}


def test_none_is_skipped() -> None:
    assert skipped(OURS, CARDS[0]) == set()


# --- wrong about the sum -------------------------------------------------------------------------------------


def needs_no_pin(rule: Callable[[int, int, int, int], bool]) -> AbstractContextManager[object]:
    """Another rule over amount, what was paid before, *PIN above* and *PIN sum*."""

    def needs_none(card: CardState, amount: int) -> bool:
        limits = card.parameters
        return rule(amount, card.cells.without_pin.number(), limits.pin_above, limits.pin_sum)

    return patch.object(purse, "_needs_no_pin", needs_none)


def taken_off(change: Callable[[CardState, Value, int, bool], None]) -> AbstractContextManager[object]:
    """PAY, and then something that is wrong: told what was paid without the PIN before, and whether it was verified."""
    right = purse._take_off

    def take_off(card: CardState, place: int, value: Value, signed: bytes, point: bytes, now: int) -> None:
        before, verified = card.cells.without_pin.number(), card.session.pin_verified
        right(card, place, value, signed, point, now)
        change(card, value, before, verified)

    return patch.object(purse, "_take_off", take_off)


def forgotten_at_power_on() -> AbstractContextManager[object]:
    """The sum is in transient memory."""
    right = SmartCard.power_on

    def power_on(self: SmartCard) -> bytes:
        with self._cells.memory.transaction() as tx:
            tx.put(self._cells.without_pin, 0)
        return right(self)

    return patch.object(SmartCard, "power_on", power_on)


def begun_anew(right: Handler, card: CardState, call: Call) -> ResponseApdu:
    answer = right(card, call)
    put(card, without_pin=0)
    return answer


def begun_anew_by_verify(right: Handler, card: CardState, call: Call) -> ResponseApdu:
    answer = right(card, call)
    if call.command.data:
        put(card, without_pin=0)
    return answer


def lowered(right: Handler, card: CardState, call: Call) -> ResponseApdu:
    """By money that comes in, or comes back."""
    before = card.cells.balance.number()
    answer = right(card, call)
    back = card.cells.balance.number() - before
    put(card, without_pin=max(0, card.cells.without_pin.number() - back))
    return answer


def counts_before_it_checks(right: Handler, card: CardState, call: Call) -> ResponseApdu:
    try:
        return right(card, call)
    except Decline:
        put(card, without_pin=card.cells.without_pin.number() + 1)
        raise


# --- wrong about the PIN -------------------------------------------------------------------------------------


def stays_verified(card: CardState, _value: Value, _before: int, verified: bool) -> None:
    card.session.pin_verified = verified


def used_up_when_wanted(card: CardState, value: Value, before: int, verified: bool) -> None:
    put(card, without_pin=before)
    wanted = not purse._needs_no_pin(card, value.amount)
    put(card, without_pin=0 if verified else before + value.amount)
    card.session.pin_verified = verified and not wanted


def anew_when_wanted(card: CardState, value: Value, before: int, verified: bool) -> None:
    put(card, without_pin=before)
    if verified and purse._needs_no_pin(card, value.amount):
        put(card, without_pin=before + value.amount)
    else:
        put(card, without_pin=0 if verified else before + value.amount)


def used_up_by_a_declined_one(right: Handler, card: CardState, call: Call) -> ResponseApdu:
    try:
        return right(card, call)
    finally:
        card.session.pin_verified = False


def not_kept(card: CardState, _value: Value, before: int, _verified: bool) -> None:
    put(card, without_pin=before)


def cut(number: int) -> int:
    return number & 0xFFFF_FFFF


def cut_sum(amount: int, paid: int, above: int, most: int) -> bool:
    return amount <= above and cut(paid + amount) <= most


def always_twenty_thousand(amount: int, paid: int, above: int, _most: int) -> bool:
    return amount <= above and paid + amount <= 20_000


WRONG: dict[str, tuple[str, Broken]] = {
    "there is no sum": ("PAY 11", lambda: needs_no_pin(lambda amount, _, above, __: amount <= above)),
    "the sum alone counts": ("PAY 11", lambda: needs_no_pin(lambda amount, paid, _, most: paid + amount <= most)),
    "one cent more than the sum": (
        "PAY 11", lambda: needs_no_pin(lambda amount, paid, above, most: amount <= above and paid + amount <= most + 1),
    ),
    "one cent less than the sum": (
        "PAY 11", lambda: needs_no_pin(lambda amount, paid, above, most: amount <= above and paid + amount < most),
    ),
    "what was paid counts, and not what is to be paid": (
        "PAY 11", lambda: needs_no_pin(lambda amount, paid, above, most: amount <= above and paid < most),
    ),
    "the sum is cut to 32 bits": ("PAY 11", lambda: needs_no_pin(cut_sum)),
    "every purse has the sum of a test card": ("PAY 11", lambda: needs_no_pin(always_twenty_thousand)),
    "FFFFFFFF is a bound as any other": (
        "PAY 11", lambda: needs_no_pin(lambda amount, paid, above, most: amount <= above and paid + amount <= most),
    ),
    "what is told goes round": (
        "PAY 11",
        lambda: taken_off(
            lambda card, value, before, verified: put(card, without_pin=0 if verified else cut(before + value.amount))
        ),
    ),
    "the sum is not kept": ("PAY 11", lambda: taken_off(not_kept)),
    "the sum is forgotten without power": ("PAY 11", forgotten_at_power_on),
    "a right PIN begins the sum anew": ("PAY", lambda: handler(Ins.VERIFY, begun_anew_by_verify)),
    "only a payment that wants the PIN begins the sum anew": ("PAY", lambda: taken_off(anew_when_wanted)),
    "a payment that is declined counts": ("PAY", lambda: handler(Ins.PAY, counts_before_it_checks)),
    "new credit begins the sum anew": ("PUT CREDIT", lambda: handler(Ins.PUT_CREDIT, begun_anew)),
    "a refund lowers the sum": ("SETTLE", lambda: handler(Ins.SETTLE, lowered)),
    "received money lowers the sum": ("RECEIVE", lambda: handler(Ins.RECEIVE, lowered)),
    "the PIN stays verified": ("PAY", lambda: taken_off(stays_verified)),
    "only a payment that wants the PIN uses it up": ("PAY", lambda: taken_off(used_up_when_wanted)),
    "a payment that is declined uses the PIN up": ("PAY", lambda: handler(Ins.PAY, used_up_by_a_declined_one)),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_card_fails_at_its_clause(name: str) -> None:
    clause, broken = WRONG[name]
    assert clause in failing_clauses(OURS, broken)
