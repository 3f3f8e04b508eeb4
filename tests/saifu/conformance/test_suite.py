"""The suite against the specification: every clause that a case names is there, and every numbered check has a case."""

import re
import sys
from collections import Counter
from pathlib import Path

import pytest

from apdu.commands import COMMANDS
from apdu.protocol import Protocol
from saifu.conformance.case import Case
from saifu.conformance.running import Outcome, Running
from saifu.conformance.suite import suite
from tests.saifu.conformance.cards import SpoiltCard, blank_card, stand_of

USUAL_HISTORY = 200
"""Records of the card of which the memory map speaks."""
PROTOCOL = Path(__file__).parents[3] / "docs/reference/protocol.md"


def sections(text: str) -> dict[str, set[int]]:
    """Headings, and the numbers of the checks below each."""
    found: dict[str, set[int]] = {}
    heading = ""
    for line in text.splitlines():
        if title := re.match(r"#{2,3} (.+)", line):
            heading = title[1]
            found[heading] = set()
        elif row := re.match(r"\| (\d{1,2}) \|", line):
            found[heading].add(int(row[1]))
    return found


SECTIONS = sections(PROTOCOL.read_text("utf-8"))
CASES = suite()


def clause_of(case: Case) -> tuple[str, int | None]:
    """Heading and number of the check."""
    heading, _, number = case.clause.rpartition(" ")
    return (heading, int(number)) if number.isdigit() else (case.clause, None)


def unreached() -> dict[str, str]:
    """Checks that no case can bring a card to, and why."""
    modules = [module for name, module in sys.modules.items() if name.startswith("saifu.conformance.cases_")]
    return {clause: why for module in modules for clause, why in getattr(module, "UNREACHED", {}).items()}


def test_sections_are_read() -> None:
    assert SECTIONS["PAY"] == set(range(1, 18))
    assert len(SECTIONS["Order of checks"]) == 16


@pytest.mark.parametrize("clause", sorted({case.clause for case in CASES}))
def test_a_clause_is_in_the_specification(clause: str) -> None:
    heading, number = clause_of(next(case for case in CASES if case.clause == clause))
    assert heading in SECTIONS
    assert number is None or number in SECTIONS[heading]


@pytest.mark.parametrize("heading", ["Order of checks", *(row.name for row in COMMANDS)])
def test_every_numbered_check_has_a_case_or_a_reason(heading: str) -> None:
    tried = {number for case in CASES for name, number in [clause_of(case)] if name == heading}
    missing = {f"{heading} {number}" for number in SECTIONS[heading] - tried} - unreached().keys()
    assert not missing


def test_a_reason_is_given_only_for_what_has_no_case() -> None:
    assert all(len(why) > 20 for why in unreached().values())
    assert not unreached().keys() & {case.clause for case in CASES}


def test_every_case_has_a_name_of_its_own() -> None:
    assert [name for name, count in Counter(case.name for case in CASES).items() if count > 1] == []


@pytest.mark.parametrize("protocol", Protocol)
@pytest.mark.parametrize("capacities", [(8, 1, 727), (16, 4, 768), (64, 8, 4096)])
def test_the_model_keeps_every_promise_twice(protocol: Protocol, capacities: tuple[int, int, int]) -> None:
    """A card is judged by the capacities that it tells."""

    def make() -> SpoiltCard:
        return blank_card(protocol, *capacities)

    stand = stand_of(make(), make)
    first = Running(stand, CASES).run()
    assert [(result.case.name, result.why) for result in first if result.outcome is Outcome.FAILED] == []
    assert [result.case.name for result in first if result.outcome is Outcome.SKIPPED and result.case.spare] == []
    second = Running(stand, CASES).run()
    assert [(result.case.name, result.why) for result in second if result.outcome is Outcome.FAILED] == []


def test_what_a_full_history_declines_is_tried_on_a_card_with_a_usual_one() -> None:
    clauses = {"REQUEST 9", "RECEIVE 11"}
    cases = [case for case in CASES if case.clause in clauses and not case.spare]
    results = Running(stand_of(blank_card(history=USUAL_HISTORY)), cases).run()
    assert {result.outcome for result in results} == {Outcome.PASSED}


def test_every_instruction_is_sent_in_every_state() -> None:
    running = Running(stand_of(blank_card(), blank_card), CASES)
    running.run()
    states = {state for state, _ in running.covered}
    assert {(state, ins) for state in states for ins in range(256)} - running.covered == set()
    assert len(states) == 5
