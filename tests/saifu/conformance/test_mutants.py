"""The suite bites: each deliberately wrong card fails it, at the clause that it breaks."""

import pytest

from saifu.conformance.case import Case
from saifu.conformance.suite import suite
from tests.saifu.conformance import mutants_card, mutants_purse
from tests.saifu.conformance.case_runs import failing_clauses
from tests.saifu.conformance.mutants import MUTANTS, Mutant

MODULES = (mutants_card, mutants_purse)
"""They add their mutants when they are imported."""
CASES = suite()


def heading(clause: str) -> str:
    """The section of a clause, without the number of a check."""
    return clause.rstrip("0123456789").rstrip()


def of_section(clause: str) -> list[Case]:
    return [case for case in CASES if heading(case.clause) == heading(clause)]


def test_there_are_enough_of_them() -> None:
    assert len(MUTANTS) >= 40
    assert {mutant.broken.__module__ for mutant in MUTANTS} == {module.__name__ for module in MODULES}
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant.clause}: {mutant.name}")
def test_a_wrong_card_fails_at_its_clause(mutant: Mutant) -> None:
    clauses = failing_clauses(of_section(mutant.clause), mutant.broken)
    if heading(mutant.clause) == mutant.clause:
        assert {heading(clause) for clause in clauses} & {mutant.clause}
    else:
        assert mutant.clause in clauses
