"""A run: the order of a card's life, what is skipped, what a failure leaves, and how the card is given back."""

from collections.abc import Callable

import pytest

from apdu.commands import Ins
from apdu.identity import LifeCycle
from saifu.conformance.case import Case, NotHereError
from saifu.conformance.running import Outcome, Result, Running, failures
from saifu.conformance.stand import Stand
from tests.saifu.conformance.cards import SpoiltCard, active, blank_card, stand_of

S = LifeCycle


def good(stand: Stand) -> None:
    stand.card.fresh()


def failing(stand: Stand) -> None:
    stand.card.fresh()
    stand.card.send(Ins.GET_DATA, sw=0x9000, p1=0x7F)


def case(state: LifeCycle, run: Callable[[Stand], None] = good, *, title: str = "", spare: bool = False) -> Case:
    return Case("Life cycle", title or run.__name__, state, run, spare=spare)


def run(stand: Stand, *cases: Case, stop: bool = False) -> list[Result]:
    return Running(stand, cases, stop=stop).run()


def outcomes(results: list[Result], title: str) -> list[Outcome]:
    return [result.outcome for result in results if result.case.title == title]


def test_states_come_in_the_order_of_life_whatever_the_order_of_the_cases() -> None:
    results = run(stand_of(blank_card()), *(case(state) for state in reversed(S)))
    seen = [result.case.state for result in results if result.case.title == "good"]
    assert seen == [S.BLANK, S.PERSONALIZATION, S.ACTIVE, S.LOCKED_OUT, S.TERMINATED]
    assert outcomes(results, "good") == [Outcome.PASSED] * 4 + [Outcome.SKIPPED]


def test_what_costs_the_card_gets_a_card_of_its_own() -> None:
    stand = stand_of(blank_card(), blank_card)
    results = run(stand, case(S.TERMINATED), case(S.ACTIVE, Stand.terminate, spare=True), case(S.ACTIVE))
    assert not list(failures(results))
    assert outcomes(results, "good") == [Outcome.PASSED, Outcome.PASSED]
    assert outcomes(results, "terminate") == [Outcome.PASSED]
    assert stand.card.state is not S.TERMINATED


def test_without_another_card_it_is_skipped_and_says_why() -> None:
    results = run(stand_of(blank_card()), case(S.ACTIVE, Stand.terminate, spare=True))
    skipped = next(result for result in results if result.outcome is Outcome.SKIPPED)
    assert "costs the card" in skipped.why


def test_an_active_card_skips_what_came_before() -> None:
    _, stand = active()
    results = run(stand, case(S.BLANK), case(S.ACTIVE))
    assert [(result.case.state, result.outcome) for result in results[:2]] == [
        (S.BLANK, Outcome.SKIPPED),
        (S.ACTIVE, Outcome.PASSED),
    ]


@pytest.mark.parametrize("locked", [False, True])
def test_a_card_is_given_back_as_it_was_found(locked: bool) -> None:
    card, stand = active()
    if locked:
        stand.lock_out()
    results = run(stand_of(card), case(S.ACTIVE, Stand.ready), case(S.LOCKED_OUT, Stand.locked))
    assert not list(failures(results))
    assert stand_of(card).card.state is (S.LOCKED_OUT if locked else S.ACTIVE)


def test_a_failure_is_told_with_its_bytes_and_the_next_case_runs() -> None:
    results = run(stand_of(blank_card()), case(S.ACTIVE, failing), case(S.ACTIVE))
    failed = next(failures(results))
    assert failed.case.title == "failing"
    assert "6A88" in failed.why
    assert failed.deviation is not None
    assert failed.deviation.command.hex() == "00ca7f0000"
    assert outcomes(results, "good") == [Outcome.PASSED]


def test_stopping_at_the_first_failure() -> None:
    results = run(stand_of(blank_card()), case(S.ACTIVE, failing), case(S.ACTIVE), stop=True)
    assert outcomes(results, "good") == []


def test_a_case_that_cannot_run_here_is_skipped() -> None:
    def elsewhere(stand: Stand) -> None:
        raise NotHereError(f"not with {stand.id}")

    results = run(stand_of(blank_card()), case(S.BLANK, elsewhere))
    assert outcomes(results, "elsewhere") == [Outcome.SKIPPED]


def test_a_change_that_no_answer_showed_fails_the_case_that_made_it() -> None:
    card, stand = active()

    def change(_: Stand) -> None:
        with card._cells.memory.transaction() as tx:
            tx.put(card._cells.edition, 5)

    results = run(stand, case(S.ACTIVE, change), case(S.ACTIVE, Stand.audit))
    assert [result.case.title for result in failures(results)] == ["change"]


def test_a_card_that_cannot_be_personalized_fails_there_and_skips_the_rest() -> None:
    card: SpoiltCard = blank_card()
    card.spoil = lambda command, answer: b"\x6a\x80" if command[1] == Ins.STORE_DATA else answer
    results = run(stand_of(card), case(S.ACTIVE), case(S.LOCKED_OUT))
    assert [result.case.state for result in failures(results)] == [S.ACTIVE]
    assert outcomes(results, "good") == [Outcome.SKIPPED, Outcome.SKIPPED]


def test_a_card_that_falls_silent_is_given_up_and_all_the_rest_is_told() -> None:
    card: SpoiltCard = blank_card()

    def silence(stand: Stand) -> None:
        card.spoil = lambda _, answer: b"\x6f\0" if answer else answer
        failing(stand)

    running = Running(stand_of(card), [case(S.ACTIVE, silence), case(S.ACTIVE), case(S.LOCKED_OUT)])
    results = running.run()
    assert [result.case.title for result in failures(results)] == ["silence"]
    assert outcomes(results, "good") == [Outcome.SKIPPED, Outcome.SKIPPED]
    assert all("cannot be tested any more" in result.why for result in results if result.case.title == "good")


def test_what_a_card_says_that_no_number_can_hold_fails_its_case_and_the_run_goes_on() -> None:
    def overflow(stand: Stand) -> None:
        (stand.now << 32).to_bytes(4)

    results = run(stand_of(blank_card()), case(S.ACTIVE, overflow), case(S.ACTIVE))
    assert [result.case.title for result in failures(results)] == ["overflow"]
    assert outcomes(results, "good") == [Outcome.PASSED]
