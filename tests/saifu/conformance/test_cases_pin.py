"""The cases on PIN and resetting code hold on the model whatever its capacities, and bite."""

from contextlib import AbstractContextManager
from dataclasses import replace
from unittest.mock import patch

import pytest

from apdu.commands import Ins
from apdu.protocol import Protocol
from apdu.response import ResponseApdu
from apdu.status import StatusWord
from applet_model import pin
from applet_model.card_state import Call, CardState
from applet_model.decline import unless
from saifu.conformance import cases_4_pin, cases_4_verified
from tests.saifu.conformance.case_runs import CARDS, Broken, cases_of, failed, failing_clauses, skipped
from tests.saifu.conformance.mutants import Handler, handler, put

OURS = cases_of(cases_4_pin, cases_4_verified)


@pytest.mark.parametrize("card", CARDS)
def test_they_hold(card: tuple[int, int, Protocol]) -> None:
    assert failed(OURS, card) == {}


def test_none_is_skipped() -> None:
    assert skipped(OURS, CARDS[0]) == set()


def asking_costs_a_try(right: Handler, card: CardState, call: Call) -> ResponseApdu:
    if not call.command.data and not card.session.pin_verified:
        put(card, pin_tries=max(0, card.cells.pin_tries.number() - 1))
    return right(card, call)


def verifies(right: Handler, card: CardState, call: Call) -> ResponseApdu:
    answer = right(card, call)
    card.session.pin_verified = True
    return answer


def forgets(right: Handler, card: CardState, call: Call) -> ResponseApdu:
    card.session.pin_verified = False
    return right(card, call)


def forgets_after(right: Handler, card: CardState, call: Call) -> ResponseApdu:
    answer = right(card, call)
    card.session.pin_verified = False
    return answer


def wants_another(right: Handler, card: CardState, call: Call) -> ResponseApdu:
    unless(call.command.data[:8] != call.command.data[8:], StatusWord.WRONG_DATA)
    return right(card, call)


def wants_two_digits() -> AbstractContextManager[object]:
    right = pin.is_pin
    return patch.object(pin, "is_pin", lambda block: right(block) and len(set(block.rstrip(b"\xff"))) > 1)


def not_kept(right: Handler, card: CardState, call: Call) -> ResponseApdu:
    before = card.cells.pin.get()
    answer = right(card, call)
    put(card, pin=before)
    return answer


def tries_of_the_code_stay(right: Handler, card: CardState, call: Call) -> ResponseApdu:
    before = card.cells.puk_tries.number()
    answer = right(card, call)
    put(card, puk_tries=before)
    return answer


def compared_first(right: Handler, card: CardState, call: Call) -> ResponseApdu:
    pin._compare_pin(card, call.command.data[:8])
    return right(card, call)


def with_pin(right: Handler, card: CardState, call: Call) -> ResponseApdu:
    """The PIN does for the resetting code."""
    if call.command.data[:8] == card.cells.pin.get():
        data = card.cells.puk.get() + call.command.data[8:]
        return right(card, replace(call, command=call.command.with_data(data)))
    return right(card, call)


THROUGH = (
    Ins.PUT_CREDIT, Ins.ATTEST, Ins.PUT_DATE, Ins.REQUEST, Ins.RECEIVE, Ins.GIVE_AGAIN, Ins.SETTLE,
    Ins.READ_RECORD, Ins.LOCK_OUT, Ins.UNLOCK,
)  # fmt: skip
"""Commands that leave the PIN verified."""
CHANGE, RESET = Ins.CHANGE_REFERENCE_DATA, Ins.RESET_RETRY_COUNTER
WRONG: list[tuple[str, Broken]] = [
    ("VERIFY", lambda: handler(Ins.VERIFY, asking_costs_a_try)),
    ("VERIFY", lambda: handler(Ins.REQUEST, forgets)),
    ("VERIFY 4", lambda: patch.object(pin, "compare_digest", lambda one, other: one.startswith(other[:7]))),
    ("CHANGE REFERENCE DATA", lambda: handler(CHANGE, not_kept)),
    ("CHANGE REFERENCE DATA", lambda: handler(CHANGE, wants_another)),
    ("CHANGE REFERENCE DATA", wants_two_digits),
    ("CHANGE REFERENCE DATA 1", lambda: handler(CHANGE, compared_first)),
    ("CHANGE REFERENCE DATA", lambda: patch.object(pin, "_DIGITS", b"012345678")),
    ("CHANGE REFERENCE DATA 1", lambda: patch.object(pin, "_DIGITS", b"0123456789:")),
    ("RESET RETRY COUNTER 1", lambda: patch.object(pin, "_DIGITS", b"/0123456789")),
    ("RESET RETRY COUNTER", lambda: handler(RESET, verifies)),
    ("RESET RETRY COUNTER", lambda: handler(RESET, forgets)),
    ("RESET RETRY COUNTER 2", lambda: handler(RESET, tries_of_the_code_stay)),
    ("RESET RETRY COUNTER 2", lambda: handler(RESET, with_pin)),
]


@pytest.mark.parametrize("ins", THROUGH, ids=lambda ins: ins.name)
def test_a_command_that_takes_verification_back_is_found(ins: Ins) -> None:
    assert "VERIFY" in failing_clauses(cases_of(cases_4_verified), lambda: handler(ins, forgets_after))


@pytest.mark.parametrize(("clause", "broken"), WRONG)
def test_they_bite(clause: str, broken: Broken) -> None:
    assert clause in failing_clauses(OURS, broken)
