"""What does not agree in a transfer is told; what honest cards tell agrees; and what was told stays true."""

from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apdu.messages import Outcome
from apdu.objects import Kind
from center.contradictions import Contradiction, Told, Transfer, contradictions

PAID, RECEIVED, REFUNDED = (Told(kind, 2, 1, 100) for kind in Kind)
DONE, NEVER = Outcome.RECEIVED, Outcome.NEVER_RECEIVED


def known(*records: Told, **other: bool | Outcome) -> Transfer:
    return Transfer(frozenset(records), **other)  # type: ignore[arg-type]  # by name


AGREES = {
    "nothing": known(),
    "paid, and nothing else heard yet": known(PAID, passed=True, waiting=True),
    "received, and the payer is not there yet": known(RECEIVED, closed=True),
    "paid and received": known(PAID, RECEIVED, passed=True, closed=True),
    "refunded": known(PAID, REFUNDED, passed=True, closed=True),
    "waiting for a refund": known(PAID, passed=True, waiting=True, closed=True),
    "settled, and the payee is not there yet": known(PAID, passed=True),
    "decided, and so it was": known(PAID, RECEIVED, passed=True, closed=True, decided=DONE),
    "decided never, and so it was": known(PAID, REFUNDED, passed=True, closed=True, decided=NEVER, resolved=NEVER),
    "decided received, and the payee never came": known(PAID, passed=True, decided=DONE, resolved=DONE),
    "the payee's word went before a decision": known(PAID, RECEIVED, passed=True, closed=True, resolved=DONE),
}


@pytest.mark.parametrize("name", AGREES)
def test_what_honest_cards_tell_agrees(name: str) -> None:
    assert contradictions(AGREES[name]) == frozenset()


CONTRADICTS = {
    "two payees": (known(PAID, Told(Kind.RECEIVED, 3, 1, 100)), Contradiction.TWO_VALUES),
    "two payees, and the payer not heard": (known(RECEIVED, Told(Kind.RECEIVED, 3, 9, 7)), Contradiction.TWO_VALUES),
    "two requests": (known(PAID, RECEIVED, Told(Kind.RECEIVED, 2, 2, 100)), Contradiction.TWO_VALUES),
    "another request": (known(PAID, Told(Kind.RECEIVED, 2, 2, 100)), Contradiction.TWO_VALUES),
    "another amount": (known(PAID, Told(Kind.RECEIVED, 2, 1, 101)), Contradiction.AMOUNTS_DIFFER),
    "more came back": (known(PAID, Told(Kind.REFUNDED, 2, 1, 101)), Contradiction.AMOUNTS_DIFFER),
    "made up": (known(RECEIVED, passed=True), Contradiction.NEVER_PAID),
    "money on both": (known(PAID, RECEIVED, REFUNDED, passed=True), Contradiction.REFUNDED_AND_RECEIVED),
    "money on none": (known(PAID, passed=True, closed=True), Contradiction.SETTLED_NOT_RECEIVED),
    "decided never": (known(PAID, RECEIVED, decided=NEVER), Contradiction.DECISION),
    "decided never, and all that followed": (
        known(PAID, RECEIVED, REFUNDED, passed=True, closed=True, decided=NEVER, resolved=NEVER),
        Contradiction.DECISION,
    ),
    "decided received, and closed": (known(PAID, decided=DONE, closed=True), Contradiction.DECISION),
    "decided received, and back": (known(PAID, REFUNDED, decided=DONE), Contradiction.DECISION),
    "found never": (known(PAID, RECEIVED, REFUNDED, resolved=NEVER), Contradiction.RESOLUTION),
    "found received, and lost": (known(PAID, closed=True, resolved=DONE), Contradiction.RESOLUTION),
}


@pytest.mark.parametrize("name", CONTRADICTS)
def test_each_contradiction_is_told_alone(name: str) -> None:
    transfer, kind = CONTRADICTS[name]
    assert contradictions(transfer) == {kind}


def test_every_kind_is_shown() -> None:
    assert {kind for _, kind in CONTRADICTS.values()} == set(Contradiction)


def told(*kinds: Kind, most: int) -> st.SearchStrategy[frozenset[Told]]:
    one = st.builds(Told, st.sampled_from(kinds), st.integers(2, 3), st.integers(1, 2), st.integers(100, 101))
    return st.frozensets(one, max_size=most)


@settings(max_examples=500)
@given(
    paid=told(Kind.PAID, most=1),
    refunded=told(Kind.REFUNDED, most=1),
    received=told(Kind.RECEIVED, most=3),
    decided=st.sampled_from([None, DONE, NEVER]),
    waiting=st.booleans(),
    ended=st.booleans(),
)
def test_it_makes_no_difference_who_comes_first(
    paid: frozenset[Told],
    refunded: frozenset[Told],
    received: frozenset[Told],
    decided: Outcome | None,
    *,
    waiting: bool,
    ended: bool,
) -> None:
    """The payer and two payees come in any order, each with all that it tells; what is found is found once for all."""
    payees = {told.payee for told in paid}
    ends = set()
    for order in permutations([1, 2, 3]):
        found: frozenset[Contradiction] = frozenset()
        for come in range(1, 4):
            there = set(order[:come])
            heard = frozenset(told for told in received if told.payee in there)
            heard |= (paid | refunded) if 1 in there else frozenset()
            closed = ended and 1 in there and bool(payees & there)
            transfer = Transfer(heard, 1 in there, 1 in there and waiting, closed, decided)
            found |= contradictions(transfer)
        ends.add(found)
    assert len(ends) == 1
