"""A card on a platform is not held to what its runtime answers; nothing that the purse itself says is excused by it."""

from collections import Counter
from contextlib import AbstractContextManager
from dataclasses import replace
from unittest.mock import patch
from xml.etree import ElementTree as Xml

import pytest

from apdu.commands import Ins
from apdu.identity import AID
from apdu.response import ResponseApdu
from applet_model.backing import MemoryBacking
from applet_model.card_state import Call, CardState
from applet_model.memory_map import blank_image
from saifu.conformance.case import CASES
from saifu.conformance.issuer import CHIP
from saifu.conformance.platform import is_platform_select, is_whole_select, may_be_platforms
from saifu.conformance.report import Report
from saifu.conformance.running import Outcome, Running
from saifu.conformance.suite import suite
from tests.saifu.conformance.cards import blank_card, stand_of
from tests.saifu.conformance.case_runs import failing_clauses
from tests.saifu.conformance.mutants import Broken, Handler, Mutant, MutantCard, handler
from tests.saifu.conformance.platform_card import PlatformCard

suite()
PLATFORM = "What belongs to the platform"
OURS = [case for case in CASES if case.clause in (PLATFORM, "SELECT", "Selection and what it holds")]
UNSELECTED = "Order of checks 10"


def platform_card() -> PlatformCard:
    return PlatformCard(MemoryBacking(blank_image(CHIP, 16, 4, 768)))


@pytest.fixture(scope="module")
def whole_run() -> Running:
    running = Running(stand_of(platform_card(), platform_card), suite())
    running.run()
    return running


def test_a_purse_on_a_platform_fails_nothing_and_nothing_is_hidden(whole_run: Running) -> None:
    outcomes = Counter(result.outcome for result in whole_run.results)
    assert [(result.case.name, result.why) for result in whole_run.results if result.outcome is Outcome.FAILED] == []
    assert outcomes[Outcome.PLATFORM] > 10
    assert {result.case.clause for result in whole_run.results if result.outcome is Outcome.PLATFORM} >= {
        PLATFORM, UNSELECTED, "SELECT",
    }  # fmt: skip
    assert outcomes[Outcome.PASSED] > 0.9 * len(whole_run.results)


def test_every_form_of_the_report_says_platform_and_what_was_answered(whole_run: Running) -> None:
    report = Report.of(whole_run)
    document = report.document()
    count = document["counts"]["platform"]
    told = [each for each in document["results"] if each["outcome"] == "platform"]
    assert (len(told), len(report.of_platform())) == (count, count)
    assert all("the platform answers" in each["why"] and each["deviation"]["answered"] for each in told)
    skipped = [each.get("message", "") for each in Xml.fromstring(report.junit()).iter("skipped")]
    assert sum(message.startswith("platform: ") for message in skipped) == count
    assert report.html().count(b'<td class="platform">platform</td>') == count
    assert f"{count} platform".encode() in report.html()
    assert document["ok"]


def test_a_card_without_a_platform_keeps_these_promises() -> None:
    results = Running(stand_of(blank_card(), blank_card), OURS).run()
    assert {result.outcome for result in results} == {Outcome.PASSED}


# --- what may be whose -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "platforms", "whole"),
    [
        ("00A4040006F05341494655", False, True),
        ("00A4040C06F0534149465500", False, True),
        ("00A40400", True, False),
        ("00A4040000", True, False),
        ("00A4040005F053414946", True, False),
        ("00A4040007F0534149465500", False, False),
        ("00A404000500000000FF", False, False),
        ("00A40000023F00", False, False),
        ("04A4040006F05341494655", False, False),
        ("0070000001", True, False),
        ("8070000001", False, False),
        ("01CA010700", True, False),
        ("C0CA010700", True, False),
        ("20CA010700", False, False),
        ("00CA010700", False, False),
        ("00", False, False),
        ("", False, False),
    ],
)
def test_what_never_reaches_the_purse(command: str, platforms: bool, whole: bool) -> None:
    raw = bytes.fromhex(command)
    assert (may_be_platforms(raw), is_whole_select(raw)) == (platforms, whole)
    assert not (is_platform_select(raw) and whole)


# --- cards that are wrong there, without the excuse of a platform ----------------------------------------------------


def part_selects() -> AbstractContextManager[object]:
    """The purse itself takes a part of its name: the runtime may pick it, but what is answered is the purse's."""

    def select(right: Handler, card: CardState, call: Call) -> ResponseApdu:
        whole = AID if AID.startswith(call.command.data) else call.command.data
        return right(card, replace(call, command=call.command.with_data(whole)))

    return handler(Ins.SELECT, select)


def selected_from_the_start() -> AbstractContextManager[object]:
    right = CardState.__init__

    def selected(card: CardState, *given: object) -> None:
        right(card, *given)  # type: ignore[arg-type]  # as it was called
        card.selected = True

    return patch.object(CardState, "__init__", selected)


WRONG: list[tuple[str, Broken]] = [
    (PLATFORM, part_selects),
    (PLATFORM, lambda: patch("applet_model.dispatch._CHANNELS", 0)),
    ("SELECT", lambda: handler(Ins.SELECT, always_done)),
]


def always_done(right: Handler, card: CardState, call: Call) -> ResponseApdu:
    """Without a name the purse does not say that it is locked out."""
    answer = right(card, call)
    return answer if call.command.data else replace(answer, sw=0x9000)


def wants_a_name(right: Handler, card: CardState, call: Call) -> ResponseApdu:
    return right(card, replace(call, command=call.command.with_data(call.command.data or b"none of ours")))


@pytest.mark.parametrize(("clause", "broken"), WRONG)
def test_they_bite(clause: str, broken: Broken) -> None:
    assert clause in failing_clauses(OURS, broken)


def test_a_card_that_wants_a_name_is_told_as_one_with_a_platform() -> None:
    mutant = MutantCard(Mutant("wrong", "SELECT", lambda: handler(Ins.SELECT, wants_a_name)))
    results = Running(stand_of(mutant), [case for case in OURS if case.clause == "SELECT" and not case.spare]).run()
    assert {result.outcome for result in results} >= {Outcome.PASSED, Outcome.PLATFORM}
    assert Outcome.FAILED not in {result.outcome for result in results}


def test_a_purse_that_answers_before_it_is_selected_has_not_its_platforms_excuse() -> None:
    cases = [case for case in CASES if case.clause == UNSELECTED]
    assert UNSELECTED in failing_clauses(cases, selected_from_the_start)
