"""The suite bites: each deliberately wrong card fails it, at the clause that it breaks."""

import pytest

from saifu.conformance.case import Case
from saifu.conformance.running import Running, failures
from saifu.conformance.suite import suite
from tests.saifu.conformance import mutants_card, mutants_purse
from tests.saifu.conformance.cards import stand_of
from tests.saifu.conformance.mutants import MUTANTS, Mutant, MutantCard

MODULES = (mutants_card, mutants_purse)
"""They add their mutants when they are imported."""
CASES = suite()


def heading(clause: str) -> str:
    """The section of a clause, without the number of a check."""
    return clause.rstrip("0123456789").rstrip()


def of_section(clause: str) -> list[Case]:
    return [case for case in CASES if heading(case.clause) == heading(clause)]


def failed_at(mutant: Mutant) -> set[str]:
    """Clauses at which a wrong card fails, of the section that it breaks."""
    running = Running(stand_of(MutantCard(mutant), lambda: MutantCard(mutant)), of_section(mutant.clause))
    running.run()
    return {result.case.clause for result in failures(running.results)}


def test_there_are_enough_of_them() -> None:
    assert len(MUTANTS) >= 40
    assert {mutant.broken.__module__ for mutant in MUTANTS} == {module.__name__ for module in MODULES}
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant.clause}: {mutant.name}")
def test_a_wrong_card_fails_at_its_clause(mutant: Mutant) -> None:
    clauses = failed_at(mutant)
    if heading(mutant.clause) == mutant.clause:
        assert {heading(clause) for clause in clauses} & {mutant.clause}
    else:
        assert mutant.clause in clauses
