"""What does not agree becomes a case with its evidence, whoever comes first; and honest cards make none."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from apdu.errors import InputError, RefusedError
from apdu.identity import CardId
from apdu.messages import Outcome
from apdu.objects import Kind
from apdu.status import StatusError
from center.cases import REFUSED, Case, cases
from center.contradictions import Contradiction
from center.editions import report_stolen
from center.resolution import decide
from host.session import Paid
from tests.center.bank import Bank, Purse
from tests.center.broken import BrokenCard, broken_card
from tests.center.plants import PLANTS, Plant, another_amount, two_payees, wrong_decision_for_the_payer
from tests.issuer import NOW


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    return Bank(tmp_path / "center")


@pytest.fixture(scope="module")
def busy_bank(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    """One center for many examples."""
    return Bank(tmp_path_factory.mktemp("busy") / "center")


def found(bank: Bank, *cards: CardId) -> list[Case]:
    """The cases about some cards; all without any."""
    with bank.center.session() as session:
        return [case for case in cases(session, 1) if not cards or case.card in cards]


# --- planted contradictions --------------------------------------------------------------------------------


def test_each_kind_is_planted() -> None:
    assert set(PLANTS.values()) == set(Contradiction)


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.__name__)
@settings(max_examples=12, deadline=None)
@given(order=st.permutations([0, 1, 2]), again=st.booleans(), later=st.booleans())
def test_a_contradiction_makes_its_own_case_whoever_comes_first(
    busy_bank: Bank, plant: Callable[[Plant], None], order: list[int], *, again: bool, later: bool
) -> None:
    planted = Plant(busy_bank.center)
    plant(planted)
    cards = [planted.payer, planted.payee, planted.third]
    if not later:
        planted.go_on()
    for visitor in order:
        cards[visitor].renew()
    if later:
        planted.go_on()
    for visitor in order if again or later else ():
        cards[visitor].renew()
    told = [(case.kind, case.card, case.counter) for case in found(busy_bank, *(card.id for card in cards))]
    assert told == [(PLANTS[plant], planted.payer.id, 2)]


# --- honest histories --------------------------------------------------------------------------------------


class Town:
    """Three honest cards that pay each other; anything may be cut anywhere."""

    def __init__(self, bank: Bank) -> None:
        self.bank = bank
        self.purses = [bank.purse(initial=1000, history=64) for _ in range(3)]
        self.paid: list[tuple[Purse, Purse, Paid]] = []

    def pay(self, payer: Purse, payee: Purse) -> None:
        requested = payee.session().request(10, payer.id, NOW)
        self.paid.append((payer, payee, payer.session().pay(requested, NOW)))

    def reopen(self, payer: Purse, payee: Purse) -> None:
        payee.session().request(10, payer.id, NOW)

    def deliver(self, payer: Purse, payee: Purse) -> None:
        for _, paid in self._between(payer, payee):
            payee.session().receive(paid, NOW)

    def settle(self, payer: Purse, payee: Purse) -> None:
        for purse, paid in self._between(payer, payee):
            purse.session().settle(payee.session().receive(paid, NOW))

    def renew(self, payer: Purse, _payee: Purse) -> None:
        self.bank.renew(payer)

    def decide(self, payer: Purse, payee: Purse) -> None:
        """An operator decides, and is right: the payee's card says what became of it."""
        history = payee.session().history(64)
        for entry in payer.session().get_unsettled():
            received = any(record.kind is Kind.RECEIVED and record.counter == entry.counter for record in history)
            if entry.payee == payee.id and received:
                decide(self.bank.center, payer.id, entry.counter, Outcome.RECEIVED, "seen on the card")

    def _between(self, payer: Purse, payee: Purse) -> list[tuple[Purse, Paid]]:
        return [(one, paid) for one, other, paid in self.paid if (one, other) == (payer, payee)]


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["pay", "pay", "reopen", "deliver", "settle", "renew", "renew", "decide"]),
            st.permutations([0, 1, 2]),
        ),
        max_size=16,
    ),
    st.permutations([0, 1, 2]),
)
def test_honest_cards_make_no_case(busy_bank: Bank, steps: list[tuple[str, list[int]]], last: list[int]) -> None:
    town = Town(busy_bank)
    for name, (payer, payee, _) in steps:
        try:
            getattr(town, name)(town.purses[payer], town.purses[payee])
        except (StatusError, RefusedError):
            continue  # no place left, settled already, nothing to decide: all of it is what honest cards say
    for _ in range(2):
        for visitor in last:
            busy_bank.renew(town.purses[visitor])
    assert found(busy_bank, *(purse.id for purse in town.purses)) == []


# --- evidence ----------------------------------------------------------------------------------------------


def test_the_evidence_is_what_both_sides_have_signed(bank: Bank) -> None:
    plant = Plant(bank.center)
    another_amount(plant)
    plant.payee.renew()
    plant.payer.renew()
    [case] = found(bank)
    assert dict(case.evidence.records) == {
        plant.payer.id: plant.payer.records[1],
        plant.payee.id: plant.payee.records[1],
    }
    signed = {state.body.card: state for state in case.evidence.attestations}
    for card in (plant.payer, plant.payee):
        assert signed[card.id].verify(card.certificate.body.point).record == 2


def test_a_decision_and_what_was_signed_for_it_are_evidence(bank: Bank) -> None:
    plant = Plant(bank.center)
    wrong_decision_for_the_payer(plant)
    plant.payee.renew()
    [case] = found(bank)
    [decision] = case.evidence.decisions
    assert decision.outcome is Outcome.NEVER_RECEIVED
    assert decision.order < case.order
    assert list(case.evidence.resolutions) == list(plant.payer.resolutions)


def test_what_comes_in_later_is_put_beside_the_evidence(bank: Bank) -> None:
    plant = Plant(bank.center)
    two_payees(plant)
    plant.payer.renew()
    plant.third.renew()
    [early] = found(bank)
    plant.payee.renew()
    [late] = found(bank)
    assert (early.number, early.order) == (late.number, late.order)
    assert (len(early.evidence.records), len(late.evidence.records)) == (2, 3)
    assert set(early.evidence.attestations) < set(late.evidence.attestations)


def test_a_wrong_decision_passes_silently_no_more(bank: Bank) -> None:
    """With real cards: the payee's card was said to be lost, and turns up with the money."""
    payer, payee = bank.purse(initial=10_000), bank.purse()
    paid = payer.session().pay(payee.session().request(500, payer.id, NOW), NOW)
    payee.session().receive(paid, NOW)
    bank.renew(payer)
    decide(bank.center, payer.id, 1, Outcome.NEVER_RECEIVED, "the card is lost")
    bank.renew(payer)
    assert (payer.balance, payee.balance, found(bank)) == (10_000, 500, [])
    bank.renew(payee)
    [case] = found(bank)
    assert (case.kind, case.card, case.counter) == (Contradiction.DECISION, payer.id, 1)


def test_what_is_known_already_is_not_decided_otherwise_in_silence(bank: Bank) -> None:
    payer, payee = bank.purse(initial=10_000), bank.purse()
    bank.pay(payer, payee, 500)
    bank.renew(payer)
    bank.renew(payee)
    decide(bank.center, payer.id, 1, Outcome.NEVER_RECEIVED, "a mistake")
    assert [case.kind for case in found(bank)] == [Contradiction.DECISION]


# --- refused renewals --------------------------------------------------------------------------------------


def refused(card: BrokenCard) -> None:
    with pytest.raises(RefusedError):
        card.renew()


def test_a_refused_renewal_leaves_what_the_card_has_signed(bank: Bank) -> None:
    card, other = broken_card(bank.center), broken_card(bank.center)
    card.pay(other, 1)
    card.renew()
    card.refund(other, 1)
    refused(card)
    [case] = found(bank)
    assert (case.kind, case.card, case.counter) == (REFUSED, card.id, 0)
    before, after = (state.verify(card.certificate.body.point) for state in case.evidence.attestations)
    assert (before.record, after.record) == (1, 2)
    assert case.evidence.records == ((card.id, card.records[1]),)


def test_a_clone_leaves_its_evidence(bank: Bank) -> None:
    bag, shop, aoi = bank.purse(initial=10_000), bank.purse(), bank.purse()
    bank.pay(bag, aoi, 900)
    clone = aoi.clone()
    bank.pay(clone, bag, 1)
    bank.pay(aoi, shop, 2)
    bank.renew(aoi)
    with pytest.raises(RefusedError, match="a clone"):
        bank.line.renew(*bank.attest(clone))
    assert [(case.kind, case.card) for case in found(bank)] == [(REFUSED, aoi.id)]


def test_the_same_state_is_kept_once(bank: Bank) -> None:
    card, other = broken_card(bank.center), broken_card(bank.center)
    card.refund(other, 1)
    refused(card)
    refused(card)
    assert len(found(bank)) == 1
    card.refund(other, 2)
    refused(card)
    assert len(found(bank)) == 2


def test_a_refusal_for_another_reason_is_no_case(bank: Bank) -> None:
    card = broken_card(bank.center)
    with pytest.raises(RefusedError, match="does not answer the challenge"):
        bank.line.renew(card.attest(bytes(16)), [])
    report_stolen(bank.center, card.id)
    refused(card)
    assert found(bank) == []


# --- looking up --------------------------------------------------------------------------------------------


def test_there_is_no_other_case(bank: Bank) -> None:
    with bank.center.session() as session, pytest.raises(InputError, match="there is no case 1"):
        cases(session, 1, 1)


def asked_for(bank: Bank, act: Callable[[], None]) -> list[tuple[str, Any]]:
    """The queries that something makes, with their parameters."""
    asked: list[tuple[str, Any]] = []

    def ask(_connection: object, _cursor: object, statement: str, parameters: object, *_: object) -> None:
        asked.append((statement, parameters))

    engine = bank.center._engine
    event.listen(engine, "before_cursor_execute", ask)
    act()
    event.remove(engine, "before_cursor_execute", ask)
    return [(statement, parameters) for statement, parameters in asked if statement.startswith(("SELECT", "WITH"))]


FROM = re.compile(r"FROM \w+")


def test_every_look_up_goes_by_an_index(bank: Bank) -> None:
    """So that it costs the same with a million cards."""
    plant = Plant(bank.center)
    two_payees(plant)
    plant.payer.renew()
    plant.payee.renew()
    asked = asked_for(bank, plant.third.renew)
    assert {"FROM cases", "FROM records"} <= {said for query, _ in asked for said in FROM.findall(query)}
    grow = {"records", "cards", "cases", "decisions", "resolutions", "listed"}
    with bank.center.session() as session:
        for statement, parameters in asked:
            plan = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            steps = [str(row[3]).split() for row in plan]
            assert not [step for step in steps if step[0] == "SCAN" and step[1] in grow], statement
