"""The cases on transmission and selection hold on the model whatever its capacities, and bite."""

from contextlib import AbstractContextManager, ExitStack
from unittest.mock import patch

import pytest

from apdu.command import CommandApdu
from apdu.commands import CHAIN_CAPACITY, Command, Ins
from apdu.objects import Capacities
from apdu.protocol import Protocol
from apdu.response import ResponseApdu
from applet_model.card_state import Call, CardState
from applet_model.memory_map import MemoryMap
from applet_model.transmission import Transmission, _Held
from saifu.conformance import cases_2_chaining, cases_2_get_response, cases_2_selection, cases_2_transmission
from tests.saifu.conformance.case_runs import CARDS, Broken, cases_of, failed, failing_clauses, skipped
from tests.saifu.conformance.mutants import Handler, handler

OURS = cases_of(cases_2_chaining, cases_2_transmission, cases_2_get_response, cases_2_selection)
ANSWERS = "Answers longer than Le, and GET RESPONSE"


@pytest.mark.parametrize("card", CARDS)
def test_they_hold(card: tuple[int, int, Protocol]) -> None:
    assert failed(OURS, card) == {}


def test_only_what_the_protocol_cannot_carry_is_skipped() -> None:
    assert skipped(OURS, CARDS[0]) == set()
    assert {"at T=0" in why for why in skipped(OURS, CARDS[1])} == {True}


def chain_outlives(ins: Ins) -> AbstractContextManager[object]:
    """A command in the middle leaves the chain as it was."""
    right = Transmission.exchange

    def exchange(self: Transmission, raw: bytes) -> ResponseApdu:
        chain = self._chain
        answer = right(self, raw)
        if raw[1:2] == bytes((ins,)):
            self._chain = chain
        return answer

    return patch.object(Transmission, "exchange", exchange)


def executed_in_a_chain() -> AbstractContextManager[object]:
    right = Transmission._collect

    def collect(self: Transmission, row: Command, command: CommandApdu, chain: CommandApdu | None) -> ResponseApdu:
        if chain is not None and row.ins is Ins.VERIFY:
            self._card.session.pin_verified = True
        return right(self, row, command, chain)

    return patch.object(Transmission, "_collect", collect)


def whole_answer_at_first() -> AbstractContextManager[object]:
    """GET RESPONSE gives all that there is, whatever it is asked for."""
    right = Transmission._pieces
    return patch.object(Transmission, "_pieces", lambda self, answer, take: right(self, answer, take and 256))


def lost_after_the_first_piece() -> AbstractContextManager[object]:
    right = Transmission._pieces

    def pieces(self: Transmission, answer: ResponseApdu, take: int) -> ResponseApdu:
        given = right(self, answer, take)
        if take:
            self._held = None
        return given

    return patch.object(Transmission, "_pieces", pieces)


def generous() -> AbstractContextManager[object]:
    """GET RESPONSE that asks for too much gets what there is."""
    right = Transmission._continue

    def fetched(self: Transmission, command: CommandApdu, held: _Held | None) -> ResponseApdu:
        with patch.object(self, "_exact_le", new=False):
            return right(self, command, held)

    return patch.object(Transmission, "_continue", fetched)


def forgets_when_it_fails() -> AbstractContextManager[object]:
    def select(right: Handler, card: CardState, call: Call) -> ResponseApdu:
        card.forget_selection()
        return right(card, call)

    return handler(Ins.SELECT, select)


def takes(chain: int) -> AbstractContextManager[object]:
    """A card whose chains carry another number of bytes than it tells."""
    stack = ExitStack()
    stack.enter_context(patch.object(MemoryMap, "chain_capacity", property(lambda _: chain), create=True))
    told = property(lambda cells: Capacities(2, cells.history_capacity, cells.unsettled_capacity, CHAIN_CAPACITY))
    stack.enter_context(patch.object(MemoryMap, "capacities", told))
    return stack


WRONG: list[tuple[str, Broken]] = [
    ("Class byte", lambda: patch("applet_model.dispatch._BASE", 0xE0)),
    ("Command chaining", lambda: chain_outlives(Ins.GET_RESPONSE)),
    ("Command chaining", lambda: chain_outlives(Ins.ATTEST)),
    ("Command chaining", lambda: chain_outlives(Ins.GET_DATA)),
    ("Command chaining", lambda: chain_outlives(Ins.SELECT)),
    ("Order of checks 9", executed_in_a_chain),
    ("Order of checks 13", lambda: takes(1023)),
    ("Order of checks 13", lambda: takes(1025)),
    ("Order of checks 6", lambda: patch("applet_model.transmission._Held.answers", lambda *_: False)),
    (ANSWERS, lambda: patch("applet_model.transmission._Held.answers", lambda *_: False)),
    (ANSWERS, lambda: patch("applet_model.transmission._SHORT", 255)),
    (ANSWERS, whole_answer_at_first),
    (ANSWERS, lost_after_the_first_piece),
    ("Selection and what it holds", lambda: patch.object(CardState, "forget_selection", lambda _: None)),
    ("Selection and what it holds", forgets_when_it_fails),
]


@pytest.mark.parametrize(("clause", "broken"), WRONG)
def test_they_bite(clause: str, broken: Broken) -> None:
    assert clause in failing_clauses(OURS, broken)


def test_at_t0_they_bite_too() -> None:
    assert ANSWERS in failing_clauses(OURS, generous, Protocol.T0)
