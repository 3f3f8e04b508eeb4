"""The cases on SELECT, GET DATA and READ RECORD hold on the model whatever its capacities, and bite."""

from contextlib import AbstractContextManager
from dataclasses import replace
from unittest.mock import patch

import pytest

from apdu.commands import ANY_STATE, Ins
from apdu.identity import AID
from apdu.protocol import Protocol
from apdu.response import ResponseApdu
from applet_model import identification
from applet_model.card_state import Call, CardState
from saifu.conformance import cases_3_identification
from saifu.conformance.running import Outcome, Running
from tests.saifu.conformance.cards import blank_card, stand_of
from tests.saifu.conformance.case_runs import CARDS, Broken, cases_of, failed, failing_clauses, skipped
from tests.saifu.conformance.mutants import Handler, handler

OURS = cases_of(cases_3_identification)


@pytest.mark.parametrize("card", CARDS)
def test_they_hold(card: tuple[int, int, Protocol]) -> None:
    assert failed(OURS, card) == {}


def test_only_long_histories_are_skipped() -> None:
    assert skipped(OURS, CARDS[0]) == {"the card has no more records than one file"}
    assert skipped(OURS, CARDS[-1]) == {"a history of more than 256 records takes too long to fill"}


def test_a_card_with_more_records_than_one_file_is_read_beyond_it() -> None:
    stand = stand_of(blank_card(history=300))
    stand.personalize()
    stand.ready(0)
    for _ in range(255):
        stand.give(1)
    results = Running(stand, [case for case in OURS if "file" in case.title]).run()
    assert {result.outcome for result in results} == {Outcome.PASSED}


def longer_name(right: Handler, card: CardState, call: Call) -> ResponseApdu:
    known = call.command.data.startswith(AID)
    return right(card, replace(call, command=call.command.with_data(AID)) if known else call)


def one_file(right: Handler, card: CardState, call: Call) -> ResponseApdu:
    """The file is not looked at."""
    return right(card, replace(call, command=replace(call.command, p2=0x0C)))


def silent_warning(right: Handler, card: CardState, call: Call) -> ResponseApdu:
    return replace(right(card, call), sw=0x9000)


def parameters_for_all() -> AbstractContextManager[object]:
    row, reader = identification._OBJECTS[0x0101]
    return patch.dict(identification._OBJECTS, {0x0101: (replace(row, states=ANY_STATE), reader)})


WRONG: list[tuple[str, Broken]] = [
    ("SELECT 1", lambda: handler(Ins.SELECT, longer_name)),
    ("SELECT", lambda: handler(Ins.SELECT, silent_warning)),
    ("SELECT", lambda: patch("applet_model.identification._WITHOUT_FCI", 0x0D)),
    ("GET DATA 1", lambda: patch.dict(identification._OBJECTS, {0x0109: identification._OBJECTS[0x0107]})),
    ("GET DATA 2", parameters_for_all),
    ("READ RECORD 1", lambda: handler(Ins.READ_RECORD, one_file)),
]


@pytest.mark.parametrize(("clause", "broken"), WRONG)
def test_they_bite(clause: str, broken: Broken) -> None:
    assert clause in failing_clauses(OURS, broken)
