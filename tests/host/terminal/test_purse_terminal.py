"""The purse terminal: remittance (fig. 2) and check at insertion (fig. 3), step by step, on real cards."""

import pytest

from apdu.commands import Ins
from apdu.errors import NoCardError, OutcomeUnknownError, RefusedError
from apdu.identity import LifeCycle
from apdu.messages import Head, Signed
from apdu.objects import Kind
from apdu.status import StatusError, StatusWord
from center.editions import report_found, report_stolen
from center.keys import ORDERS_KEY, CenterKeys
from center.line import check_order
from host.connection import Ejection
from host.model import ModelSlot
from host.session import pin_block
from host.terminal.credit_check import CreditCheckUnit
from host.terminal.terminal import FinishedBeforeError, ListedCardError
from tests.host.terminal.faults import Lost, honest
from tests.host.terminal.town import Card, HookedSlot, Keypad, Town
from tests.issuer import NOW, PIN, PUK

CHECKED = ["S101", "S102", "S103", "S104", "S105", "S106"]
WRONG = pin_block("9999")


def remit(town: Town, payer: Card, payee: Card, amount: int) -> None:
    town.purse_terminal().remit(payer.slot("left"), payee.slot("right"), amount)


# --- fig. 2 ------------------------------------------------------------------------------------------------


def test_remittance_in_the_patents_order(town: Town) -> None:
    payer, payee = town.card(1000), town.card()
    left, right = payer.slot("left"), payee.slot("right")
    done = town.purse_terminal().remit(left, right, 250)
    assert (done.amount, done.credited, done.settled) == (250, True, True)
    assert town.screen.steps == [*CHECKED, "S107", "S109", "S110", "S110"]
    assert (payer.balance, payee.balance) == (750, 250)
    for slot in (left, right):
        with pytest.raises(NoCardError):
            slot.connect()


def test_the_display_shows_the_amount_and_both_cards(town: Town) -> None:
    payer, payee = town.card(1000), town.card()
    remit(town, payer, payee, 250)
    shown = [town.screen.details[step] for step in ("S102", "S103", "S104", "S105", "S107")]
    assert shown == ["2.50 EUR", payer.id.text, payee.id.text, "edition 1", "2.50 EUR"]


def test_both_histories_have_the_remittance(town: Town) -> None:
    payer, payee = town.card(1000), town.card()
    town.clock.now += 90
    remit(town, payer, payee, 250)
    paid, received = payer.look().history(1)[0], payee.look().history(1)[0]
    assert (paid.kind, paid.other, paid.amount, paid.balance) == (Kind.PAID, payee.id, 250, 750)
    assert (paid.date, received.date) == (town.clock.now, town.clock.now)
    assert (received.kind, received.other, received.amount, received.balance) == (Kind.RECEIVED, payer.id, 250, 250)


@pytest.mark.parametrize("stolen", [0, 1])
def test_a_listed_card_is_locked_out_and_both_are_ejected(town: Town, stolen: int) -> None:
    cards = [town.card(1000), town.card(500)]
    report_stolen(town.center, cards[stolen].id)
    town.publish()
    with pytest.raises(ListedCardError, match="it is locked out"):
        remit(town, cards[0], cards[1], 250)
    assert town.screen.steps == [*CHECKED, "S108", "S110", "S110"]
    assert town.screen.details["S108"] == cards[stolen].id.text
    assert (cards[stolen].state, cards[1 - stolen].state) == (LifeCycle.LOCKED_OUT, LifeCycle.ACTIVE)
    assert [card.balance for card in cards] == [1000, 500]


def test_of_two_listed_cards_both_are_locked_out(town: Town) -> None:
    cards = [town.card(1000), town.card()]
    for card in cards:
        report_stolen(town.center, card.id)
    town.publish()
    with pytest.raises(ListedCardError):
        remit(town, cards[0], cards[1], 250)
    assert town.screen.steps == [*CHECKED, "S108", "S108", "S110", "S110"]
    assert [card.state for card in cards] == [LifeCycle.LOCKED_OUT, LifeCycle.LOCKED_OUT]


def test_a_card_that_is_locked_out_already_does_no_business(town: Town) -> None:
    thief, other = town.card(1000), town.card()
    report_stolen(town.center, thief.id)
    old = town.new_store("old")
    town.publish()
    with pytest.raises(ListedCardError):
        remit(town, thief, other, 250)
    with pytest.raises(ListedCardError, match="it is locked out"):
        remit(town, thief, other, 250)
    town.screen.steps.clear()
    with pytest.raises(RefusedError, match="is locked out: no business with it"):
        town.purse_terminal(old).remit(thief.slot("left"), other.slot("right"), 250)
    assert town.screen.steps == [*CHECKED, "S110", "S110"]
    assert (thief.balance, other.balance) == (1000, 0)


def test_an_old_list_cannot_lock_a_card_that_was_found_again(town: Town) -> None:
    card, other = town.card(1000), town.card()
    report_stolen(town.center, card.id)
    stale = town.new_store("stale")
    town.publish(town.store, stale)
    report_found(town.center, card.id)
    town.publish()
    remit(town, card, other, 250)
    with pytest.raises(ListedCardError, match=r"could not be locked out .*950D"):
        town.purse_terminal(stale).remit(card.slot("left"), other.slot("right"), 250)
    assert (card.state, card.balance) == (LifeCycle.ACTIVE, 750)
    assert town.screen.says("edition 2 is old: edition 3 has been seen")


# --- the list's age, and heads that travel with cards --------------------------------------------------------


def test_a_stale_terminal_learns_from_a_card_and_remembers(town: Town) -> None:
    traveller, other = town.card(1000), town.card()
    stale = town.new_store("stale")
    stale.import_edition(town.publish().encode())
    town.publish()
    remit(town, traveller, other, 100)
    assert stale.staleness(NOW) is None
    town.purse_terminal(stale).insert(traveller.slot("left"))
    assert (stale.number, stale.newest_known) == (2, 3)
    assert town.new_store("stale").newest_known == 3
    assert town.screen.says("warning: edition 2 is old: edition 3 has been seen")


def test_the_head_is_carried_to_both_cards_and_their_date_moves(town: Town) -> None:
    payer, payee = town.card(1000), town.card()
    town.clock.now += 5
    newest = town.publish()
    remit(town, payer, payee, 100)
    for card in (payer, payee):
        session = card.look()
        assert session.get_head() == newest.head
        assert session.get_counters().date == NOW + 5


def test_a_card_with_a_newer_head_keeps_it(town: Town) -> None:
    card, other = town.card(1000), town.card()
    stale = town.new_store("stale")
    stale.import_edition(town.publish().encode())
    newest = town.publish()
    remit(town, card, other, 100)
    town.purse_terminal(stale).remit(card.slot("left"), other.slot("right"), 100)
    assert card.look().get_head() == newest.head


def test_a_forged_head_is_ignored(town: Town) -> None:
    card, other = town.card(1000), town.card()
    forged = Signed.make(Head(ORDERS_KEY, 1, 99, NOW, NOW, 0, bytes(24)), CenterKeys.generate().orders)
    for cell, value in (("head", forged.raw), ("head_known", 1), ("edition", 99)):
        card.put(cell, value)
    remit(town, card, other, 100)
    assert town.screen.says("carries a forged head")
    assert (town.store.newest_known, other.balance) == (1, 100)


def test_a_list_that_is_overdue_is_said_to_be_old(town: Town) -> None:
    card, other = town.card(1000), town.card()
    town.clock.now += 26 * 3600
    remit(town, card, other, 100)
    assert town.screen.says("edition 1 is old: the next one was due 2 hours ago")


def test_a_terminal_without_a_list_says_so(town: Town) -> None:
    card, other = town.card(1000), town.card()
    town.purse_terminal(town.new_store("new")).remit(card.slot("left"), other.slot("right"), 100)
    assert town.screen.says("there is no blacklist in this terminal")
    assert card.look().get_head() is None


# --- money and PIN -----------------------------------------------------------------------------------------


def test_too_little_money(town: Town) -> None:
    payer, payee = town.card(100), town.card()
    with pytest.raises(StatusError) as declined:
        remit(town, payer, payee, 101)
    assert declined.value.sw == StatusWord.INSUFFICIENT_MONEY
    assert town.screen.steps == [*CHECKED, "S107", "S110", "S110"]
    assert (payer.balance, payee.balance, payer.unsettled) == (100, 0, 0)


def test_up_to_the_amount_no_pin_is_asked(town: Town) -> None:
    payer, payee = town.card(9000), town.card()
    remit(town, payer, payee, 5000)
    assert town.keypad.asked == []


def test_above_the_amount_the_pin_is_asked(town: Town) -> None:
    payer, payee = town.card(9000), town.card()
    town.keypad = Keypad(PIN)
    remit(town, payer, payee, 5001)
    assert town.keypad.asked == [f"50.01 EUR from {payer.id}"]
    assert payee.balance == 5001


def test_small_amounts_add_up_until_the_pin_is_asked_and_then_begin_anew(town: Town) -> None:
    payer, payee = town.card(9000, pin_above=1000, pin_sum=1500), town.card()
    town.keypad = Keypad(PIN)
    for amount in (1000, 500, 1, 1000):
        remit(town, payer, payee, amount)
    assert town.keypad.asked == [f"0.01 EUR from {payer.id}"]
    wanted = "the PIN is wanted: 15.00 EUR were paid without it, 15.00 EUR may be in all"
    assert [said for said in town.screen.said if said.startswith("the PIN is wanted")] == [wanted]
    assert (payee.balance, payer.look().get_counters().without_pin) == (2501, 1000)


def test_a_pin_that_a_large_amount_wants_is_not_explained(town: Town) -> None:
    payer, payee = town.card(9000), town.card()
    town.keypad = Keypad(PIN)
    remit(town, payer, payee, 5001)
    assert not town.screen.says("the PIN is wanted")


def test_a_wrong_pin_is_asked_again(town: Town) -> None:
    payer, payee = town.card(9000), town.card()
    town.keypad = Keypad(WRONG, WRONG, PIN)
    remit(town, payer, payee, 5001)
    assert len(town.keypad.asked) == 3
    assert payee.balance == 5001


def test_without_a_pin_nothing_moves(town: Town) -> None:
    payer, payee = town.card(9000), town.card()
    with pytest.raises(RefusedError, match="nobody enters a PIN"):
        remit(town, payer, payee, 5001)
    assert (payer.balance, payee.balance, payer.unsettled) == (9000, 0, 0)
    assert town.screen.steps[-2:] == ["S110", "S110"]


def test_a_blocked_pin_is_not_asked_again_and_is_unblocked_at_the_atm(town: Town) -> None:
    payer, payee = town.card(9000), town.card()
    town.keypad = Keypad(WRONG, WRONG, WRONG, PIN)
    with pytest.raises(StatusError) as blocked:
        remit(town, payer, payee, 5001)
    assert blocked.value.sw == StatusWord.BLOCKED
    assert (len(town.keypad.asked), payer.balance) == (3, 9000)
    new = pin_block("445566")
    town.atm().unblock_pin(payer.slot("atm"), PUK, new)
    town.keypad = Keypad(new)
    remit(town, payer, payee, 5001)
    assert payee.balance == 5001


# --- cards that are not there, and readers that cannot --------------------------------------------------------


def test_one_card_is_not_two(town: Town) -> None:
    card = town.card(1000)
    with pytest.raises(RefusedError, match="one reader is named twice"):
        town.purse_terminal().remit(card.slot("left"), card.slot("left"), 100)
    with pytest.raises(StatusError) as declined:
        town.purse_terminal().remit(card.slot("left"), card.slot("right"), 100)
    assert declined.value.sw in (StatusWord.NOT_THIS_CARD, StatusWord.CONDITIONS_OF_USE)
    assert card.balance == 1000


def test_without_the_second_card_the_first_is_ejected(town: Town) -> None:
    left = town.card(1000).slot("left")
    with pytest.raises(NoCardError, match="right"):
        town.purse_terminal().remit(left, ModelSlot("right"), 100)
    with pytest.raises(NoCardError):
        left.connect()


def test_a_payer_that_vanishes_before_settle_has_paid(town: Town) -> None:
    payer, payee = town.card(1000), town.card()
    right = HookedSlot(payee.slot("right"), honest)
    left = HookedSlot(payer.slot("left"), Lost(answered=False, ins=Ins.SETTLE))
    town.publish()
    done = town.purse_terminal().remit(left, right, 250)
    assert (done.credited, done.settled) == (True, False)
    assert town.screen.details["S109"] == "settles when the paying card comes again"
    assert town.screen.steps == [*CHECKED, "S107", "S109", "S110", "S110"]
    assert (left.ejected, right.ejected) == (1, 1)
    assert (payer.balance, payee.balance, payer.unsettled) == (750, 250, 250)
    with pytest.raises(FinishedBeforeError, match="begin again"):
        town.purse_terminal().remit(payer.slot("left"), payee.slot("right"), 250)
    assert (payer.balance, payee.balance, payer.unsettled) == (750, 250, 0)


class Stuck(ModelSlot):
    """A reader that is gone when the card is to be ejected."""

    def eject(self) -> Ejection:
        raise OutcomeUnknownError(f"{self.name}: the reader is gone")


class Manual(ModelSlot):
    """A reader that cannot eject."""

    def eject(self) -> Ejection:
        self.close()
        return Ejection.REMOVE_BY_HAND


def test_a_reader_that_is_gone_does_not_hide_what_went_wrong(town: Town) -> None:
    payer, payee = town.card(100), town.card()
    right = payee.slot("right")
    with pytest.raises(StatusError, match="too little money"):
        town.purse_terminal().remit(Stuck("left", payer.chip), right, 101)
    assert town.screen.said == ["left: left: the reader is gone"]
    with pytest.raises(NoCardError):
        right.connect()


def test_a_reader_that_cannot_eject_powers_off_and_says_remove_the_card(town: Town) -> None:
    payer, payee = town.card(100), town.card()
    town.purse_terminal().remit(Manual("left", payer.chip), payee.slot("right"), 50)
    assert town.screen.said == ["left: the card is powered off: remove the card"]
    assert not payer.chip.powered


# --- fig. 3 ------------------------------------------------------------------------------------------------


def test_insertion_shows_balance_and_history(town: Town) -> None:
    payer, card = town.card(1000), town.card()
    remit(town, payer, card, 250)
    town.screen.steps.clear()
    seen = town.purse_terminal().insert(card.slot("left"))
    assert town.screen.steps == ["S201", "S202", "S203", "S204", "S205", "S110"]
    assert town.screen.details["S205"] == "2.50 EUR"
    assert (seen.card, seen.balance, seen.unsettled) == (card.id, 250, [])
    assert [(record.kind, record.amount) for record in seen.history] == [(Kind.RECEIVED, 250)]
    assert seen.credit.card == card.id


def test_a_listed_card_is_locked_out_at_insertion(town: Town) -> None:
    card = town.card(1000)
    report_stolen(town.center, card.id)
    town.publish()
    with pytest.raises(ListedCardError):
        town.purse_terminal().insert(card.slot("left"))
    assert town.screen.steps == ["S201", "S202", "S203", "S204", "S206", "S110"]
    assert card.state is LifeCycle.LOCKED_OUT


def test_the_check_unit_judges_the_paying_card(town: Town) -> None:
    payer, payee = town.card(1000), town.card()
    unit = CreditCheckUnit(7, check_order(town.center, 7, NOW), town.center.trust)
    terminal = town.purse_terminal(unit=unit)
    terminal.remit(payer.slot("left"), payee.slot("right"), 100)
    town.clock.now += 1
    with pytest.raises(RefusedError, match="order for the credit check unit has expired"):
        terminal.remit(payer.slot("left"), payee.slot("right"), 100)
    assert (payer.balance, payee.balance) == (900, 100)


def test_what_was_cut_is_not_finished_for_a_listed_card(town: Town) -> None:
    payer, payee = town.card(1000), town.card()
    one, other = payer.look(), payee.look()
    one.pay(other.request(100, one.card, NOW), NOW)
    report_stolen(town.center, payee.id)
    town.publish()
    with pytest.raises(ListedCardError):
        town.purse_terminal().resume(payer.slot("left"), payee.slot("right"))
    assert (payer.unsettled, payee.balance, payee.state) == (100, 0, LifeCycle.LOCKED_OUT)
