"""Runs of the cases of some modules, over the model and over cards that are wrong in one way."""

from functools import partial
from random import Random
from types import ModuleType

from apdu.protocol import Protocol
from saifu.conformance import harmless
from saifu.conformance.case import CASES, Case
from saifu.conformance.running import Outcome, Running, failures
from tests.saifu.conformance.cards import blank_card, stand_of
from tests.saifu.conformance.mutants import Broken, Mutant, MutantCard

__all__ = ["CARDS", "Broken", "cases_of", "failed", "failed_in", "failing_clauses", "skipped"]

CARDS = [(8, 1, Protocol.T1), (9, 3, Protocol.T0), (16, 4, Protocol.T1), (65, 8, Protocol.T0), (1024, 2, Protocol.T1)]
"""Places of the history and of unsettled transfers, and the protocol."""


def _module(run: object) -> str:
    """Where the function of a case stands."""
    while isinstance(run, partial):
        inside = run.func.__module__ == harmless.__name__
        run = run.args[-1] if inside else run.func
    return str(run.__module__)


def cases_of(*modules: ModuleType) -> list[Case]:
    """The cases that some modules have added."""
    names = {module.__name__ for module in modules}
    return [case for case in CASES if _module(case.run) in names]


def _outcomes(cases: list[Case], card: tuple[int, int, Protocol], outcome: Outcome) -> dict[str, str]:
    """What became of them: on a new card, and in another order when the card is met again."""
    history, unsettled, protocol = card
    blank = blank_card(protocol, history, unsettled)
    found: dict[str, str] = {}
    for again in range(2):
        order = Random(again).sample(cases, len(cases))
        running = Running(stand_of(blank, lambda: blank_card(protocol, history, unsettled)), order)
        results = running.run()
        if again == 0 or outcome is Outcome.FAILED:
            found |= {result.case.name: result.why for result in results if result.outcome is outcome}
    return found


def failed(cases: list[Case], card: tuple[int, int, Protocol]) -> dict[str, str]:
    """Names of the cases that the model fails, and why."""
    return _outcomes(cases, card, Outcome.FAILED)


def skipped(cases: list[Case], card: tuple[int, int, Protocol]) -> set[str]:
    """Why cases are left out on a new card."""
    return set(_outcomes(cases, card, Outcome.SKIPPED).values())


def failed_in(running: Running) -> dict[str, str]:
    """Names of the cases that failed in a run, and why."""
    return {result.case.name: result.why for result in failures(running.run())}


def failing_clauses(cases: list[Case], broken: Broken, protocol: Protocol = Protocol.T1) -> set[str]:
    """Clauses at which a wrong card fails."""
    mutant = Mutant("wrong", "", broken)
    running = Running(stand_of(MutantCard(mutant, protocol), lambda: MutantCard(mutant, protocol)), cases)
    return {result.case.clause for result in failures(running.run())}
