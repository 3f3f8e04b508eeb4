"""A run: the order of a card's life, what is skipped, what a failure leaves, and how the card is given back."""

from collections.abc import Callable
from typing import NoReturn

import pytest

from apdu.commands import Ins
from apdu.errors import InputError
from apdu.identity import LifeCycle
from apdu.response import ResponseApdu
from applet_model import unsettled
from applet_model.card_state import Call, CardState
from applet_model.decline import Decline
from saifu.conformance.case import Case, NotHereError
from saifu.conformance.provoking import fill
from saifu.conformance.running import Outcome, Result, Running, failures
from saifu.conformance.stand import Stand
from saifu.conformance.subject import UnmetError
from tests.saifu.conformance.cards import Spoil, SpoiltCard, active, blank_card, stand_of, subject_of
from tests.saifu.conformance.mutants import Broken, Handler, Mutant, MutantCard, handler

S = LifeCycle


def good(stand: Stand) -> None:
    stand.card.fresh()


def failing(stand: Stand) -> None:
    stand.card.fresh()
    stand.card.send(Ins.GET_DATA, sw=0x9000, p1=0x7F)


def case(state: LifeCycle, run: Callable[[Stand], object] = good, *, title: str = "", spare: bool = False) -> Case:
    return Case("Life cycle", title or run.__name__, state, run, spare=spare)


def run(stand: Stand, *cases: Case, stop: bool = False) -> list[Result]:
    return Running(stand, cases, stop=stop).run()


def spoilt(spoil: Spoil) -> SpoiltCard:
    card: SpoiltCard = blank_card()
    card.spoil = spoil
    return card


def declining(ins: Ins, sw: bytes) -> Spoil:
    """Whatever the card does, this is what it says to one command."""
    return lambda command, answer: sw if command[1] == ins else answer


def interrupting(_: Stand) -> NoReturn:
    raise KeyboardInterrupt


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


# --- how the card is left ----------------------------------------------------------------------------------


@pytest.mark.parametrize("found", [S.ACTIVE, S.LOCKED_OUT])
def test_a_run_that_is_interrupted_gives_the_card_back_as_it_was_found(found: LifeCycle) -> None:
    card, stand = active()
    elsewhere = S.LOCKED_OUT
    if found is S.LOCKED_OUT:
        stand.lock_out()
        elsewhere = S.ACTIVE
    running = Running(stand_of(card), [case(elsewhere, interrupting), case(S.LOCKED_OUT)])
    results = running.run()
    assert isinstance(running.interrupted, KeyboardInterrupt)
    assert outcomes(results, "good") == [Outcome.SKIPPED]
    assert not list(failures(results))
    assert stand_of(card).card.state is found


def test_a_card_is_given_back_by_what_it_is_and_not_by_what_its_twin_is() -> None:
    card, stand = active()

    def locking(stand: Stand) -> None:
        """Interrupted when the card has locked itself out, and the twin does not know."""
        stand.restore(S.LOCKED_OUT)
        raise KeyboardInterrupt

    Running(stand, [case(S.ACTIVE, locking)]).run()
    assert stand_of(card).card.state is S.ACTIVE


def test_a_second_interruption_ends_at_once_and_says_what_was_left() -> None:
    card, stand = active()

    def twice(stand: Stand) -> None:
        """Once now, and again when the card is given back."""
        card.spoil = lambda *_: interrupting(stand)
        raise KeyboardInterrupt

    results = Running(stand, [case(S.LOCKED_OUT, twice)]).run()
    assert outcomes(results, "twice") == [Outcome.SKIPPED]
    assert [result.why for result in results if result.case.title == "the card is active at the end"] == [
        "it is left as it is: by the user"
    ]


def test_a_card_that_is_given_up_is_given_back_too() -> None:
    card, stand = active()

    def senseless(stand: Stand) -> None:
        """More tries than there are: nobody can go on from that."""
        card.spoil = lambda command, answer: (
            answer[:2] + b"\xff" + answer[3:] if command[:4] == b"\x00\xca\x01\x08" else answer
        )
        failing(stand)

    running = Running(stand, [case(S.LOCKED_OUT, senseless), case(S.LOCKED_OUT)])
    assert outcomes(running.run(), "good") == [Outcome.SKIPPED]
    assert "more tries" in running.lost
    del card.spoil
    assert stand_of(card).card.state is S.ACTIVE


def test_what_a_run_leaves_unsettled_is_settled_at_its_end_and_nothing_else() -> None:
    def pay(stand: Stand) -> None:
        stand.card.fresh()
        stand.paid(stand.asked_by(stand.other(), 100))

    card, stand = active()
    pay(stand)
    again = stand_of(card)
    results = run(again, case(S.ACTIVE, pay))
    assert not list(failures(results))
    assert [entry.counter for entry in again.card.session().get_unsettled()] == [1]
    assert again.balance == 10_000 - 100


# --- other cards ---------------------------------------------------------------------------------------------


def spent(stand: Stand, make: Callable[[], SpoiltCard], count: int = 3) -> list[Result]:
    cases = [case(S.ACTIVE, title=f"spare {number}", spare=True) for number in range(count)]
    return Running(Stand(stand.card, lambda: subject_of(make())), cases).run()


def test_cards_that_do_not_come_into_their_state_skip_their_cases_and_the_step_is_told_once() -> None:
    results = spent(stand_of(blank_card()), lambda: spoilt(declining(Ins.STORE_DATA, b"\x6a\x80")))
    assert [result.case.state for result in failures(results)] == [S.ACTIVE]
    skipped = [result for result in results if result.outcome is Outcome.SKIPPED]
    assert [result.case.title for result in skipped] == ["spare 0", "spare 1", "spare 2"]
    assert all("does not become active" in result.why for result in skipped)


def test_cards_that_cannot_be_met_skip_their_cases_and_it_is_told_once() -> None:
    results = spent(stand_of(blank_card()), lambda: spoilt(declining(Ins.INITIALIZE_UPDATE, b"\x6d\0")))
    assert [result.case.clause for result in failures(results)] == ["INITIALIZE UPDATE"]
    assert [result.outcome for result in results if result.case.spare] == [Outcome.SKIPPED] * 3


def test_a_card_that_is_not_blank_is_no_other_card_and_ends_the_run() -> None:
    used, _ = active()
    running = Running(stand_of(blank_card(), lambda: used), [case(S.ACTIVE, spare=True), case(S.BLANK)])
    assert [result.outcome for result in running.run()] == [Outcome.SKIPPED] * 2
    assert "not blank" in str(running.interrupted)


def test_where_no_other_card_can_be_had_any_more_the_rest_is_told() -> None:
    made: list[SpoiltCard] = []

    def make() -> SpoiltCard:
        if made:
            raise InputError("the cards are used up")
        made.append(blank_card())
        return made[0]

    cases = [case(S.ACTIVE, title=f"spare {number}", spare=True) for number in range(2)]
    running = Running(stand_of(blank_card(), make), [*cases, case(S.BLANK)])
    assert [result.outcome for result in running.run()] == [Outcome.SKIPPED, Outcome.PASSED, Outcome.SKIPPED]
    assert str(running.interrupted) == "the cards are used up"


def test_a_new_card_that_cannot_be_met_after_the_others_fails_and_skips_the_rest() -> None:
    def afresh() -> Stand:
        raise UnmetError("SELECT", "this is no FCI")

    running = Running(stand_of(blank_card()), [case(S.BLANK)], afresh=afresh)
    assert [(result.case.clause, result.outcome) for result in running.run()] == [
        ("SELECT", Outcome.FAILED),
        ("Life cycle", Outcome.SKIPPED),
    ]


# --- one failure is one failure ------------------------------------------------------------------------------


def wrong_card(broken: Broken) -> MutantCard:
    return MutantCard(Mutant("wrong", "", broken))


def unlocks_nothing(right: Handler, card: CardState, call: Call) -> ResponseApdu:
    del right, card, call
    raise Decline(0x950B)


@pytest.mark.parametrize("later", [S.ACTIVE, S.LOCKED_OUT])
def test_a_card_that_cannot_be_unlocked_fails_once_and_what_cannot_begin_is_skipped(later: LifeCycle) -> None:
    stand = stand_of(wrong_card(lambda: handler(Ins.UNLOCK, unlocks_nothing)))
    locking = case(S.ACTIVE, Stand.lock_out)
    results = run(stand, locking, *(case(S.ACTIVE, title=f"after {number}") for number in range(3)), case(later))
    titles = [result.case.title for result in failures(results)]
    assert titles == ["the center's order unlocks the card", "the card is active at the end"]
    after = [result for result in results if result.case.title.startswith("after")]
    assert [result.outcome for result in after] == [Outcome.SKIPPED] * 3
    assert all("does not become active" in result.why for result in after)
    assert outcomes(results, "good") == [Outcome.PASSED if later is S.LOCKED_OUT else Outcome.SKIPPED]


def test_cases_find_the_card_in_their_state_wherever_others_have_left_it() -> None:
    def is_in(state: LifeCycle) -> Callable[[Stand], None]:
        return lambda stand: None if stand.card.state is state else failing(stand)

    _, stand = active()
    order = (
        case(S.ACTIVE, Stand.lock_out),
        case(S.ACTIVE, is_in(S.ACTIVE), title="again active"),
        case(S.LOCKED_OUT, Stand.unlock),
        case(S.LOCKED_OUT, is_in(S.LOCKED_OUT), title="again locked out"),
    )
    results = run(stand, *order)
    assert {result.outcome for result in results} == {Outcome.PASSED}
    assert len(results) == len(order) + 2  # locking out for the first time, and the end, are told


def refunds_only_with_room(right: Handler, card: CardState, call: Call) -> ResponseApdu:
    """A place that was kept for the record of a refund is not used."""
    places = card.cells.history_capacity - len(unsettled.used(card))
    if card.cells.record.number() - card.credit.seen >= places:
        raise Decline(0x9507)
    return right(card, call)


def test_a_card_that_declines_refunds_without_room_can_be_made_ready() -> None:
    stand = stand_of(wrong_card(lambda: handler(Ins.SETTLE, refunds_only_with_room)))
    stand.personalize()
    stand.ready()
    fill(stand, stand.card.twin.cells.history_capacity - 2)
    stand.paid(stand.partner().asks(1))
    stand.ready(700)
    stand.audit()
