"""The ATM: load and deposit between float and card, renewal, PIN, unlocking; money is conserved."""

from collections.abc import Callable

import pytest

from apdu.commands import Ins
from apdu.errors import InUseError, ReaderError, RefusedError
from apdu.identity import LifeCycle
from apdu.status import StatusError, StatusWord
from center.editions import report_found, report_stolen
from center.line import check_order
from host.model import CardFile
from host.session import PurseSession, pin_block
from host.terminal.atm import Atm
from host.terminal.credit_check import CreditCheckUnit
from host.terminal.terminal import ListedCardError
from tests.host.terminal.faults import Lost
from tests.host.terminal.town import FLOAT, MONTH, HookedSlot, Keypad, Town
from tests.issuer import NOW, PIN, PUK


def test_load_moves_money_from_the_float(town: Town) -> None:
    card = town.card()
    done = town.atm().load(card.slot("atm"), 1000, town.line)
    assert (done.amount, done.settled) == (1000, True)
    assert (card.balance, town.float) == (1000, FLOAT - 1000)
    assert town.screen.steps == ["S110"]
    assert town.screen.says(f"load 10.00 EUR on card {card.id}")


def test_deposit_moves_it_back(town: Town) -> None:
    card = town.card()
    town.atm().load(card.slot("atm"), 1000, town.line)
    town.atm().deposit(card.slot("atm"), 400, town.line)
    assert (card.balance, town.float) == (600, FLOAT - 600)


def test_a_large_deposit_wants_the_pin(town: Town) -> None:
    card = town.card(9000)
    town.keypad = Keypad(PIN)
    town.atm().deposit(card.slot("atm"), 6000, town.line)
    assert town.keypad.asked == [f"deposit from {card.id}"]
    assert (card.balance, town.float) == (3000, FLOAT - 3000)


def test_more_than_there_is_cannot_be_deposited(town: Town) -> None:
    card = town.card(100)
    with pytest.raises(StatusError, match="too little money"):
        town.atm().deposit(card.slot("atm"), 101, town.line)
    assert (card.balance, town.float) == (100, FLOAT - 100)


def test_more_than_a_purse_may_hold_cannot_be_loaded(town: Town) -> None:
    card = town.card(balance_max=1000)
    with pytest.raises(StatusError) as declined:
        town.atm().load(card.slot("atm"), 1001, town.line)
    assert declined.value.sw == StatusWord.BALANCE_LIMIT
    assert (card.balance, town.float) == (0, FLOAT)


def test_every_access_renews_the_credit_and_brings_the_head(town: Town) -> None:
    card = town.card()
    town.pass_time(MONTH)
    newest = town.publish()
    town.atm().load(card.slot("atm"), 1000, town.line)
    credit = card.look().get_credit()[0].body
    assert (credit.serial, credit.issued) == (2, NOW + MONTH)
    assert card.look().get_head() == newest.head


def test_a_load_that_was_cut_is_not_loaded_twice(town: Town) -> None:
    card = town.card()
    slot = town.line.float_slot()
    payer, payee = PurseSession(slot.connect()), card.look()
    payer.pay(payee.request(1000, payer.card, NOW), NOW)
    slot.close()
    done = town.atm().load(card.slot("atm"), 1000, town.line)
    assert (done.amount, card.balance, town.float) == (1000, 1000, FLOAT - 1000)


def test_a_load_that_is_finished_is_told_before_the_center_can_fail(town: Town) -> None:
    """Or the holder would not know that the money has come, and would load it again."""
    card = town.card()
    with pytest.raises(ReaderError):
        town.atm().load(HookedSlot(card.slot("atm"), Lost(answered=False, ins=Ins.RECEIVE)), 1000, town.line)
    report_stolen(town.center, card.id)
    assert town.atm().load(card.slot("atm"), 1000, town.line).arrived
    assert card.balance == 1000


def test_renewal_on_the_owners_wish(town: Town) -> None:
    card = town.card(1000)
    credit = town.atm().renew(card.slot("atm"), town.line)
    assert (credit.card, credit.serial) == (card.id, 2)
    assert town.screen.says("new credit information, number 2")


def test_a_stolen_card_gets_neither_credit_nor_money(town: Town) -> None:
    card = town.card(1000)
    report_stolen(town.center, card.id)
    for act in (town.atm().load, town.atm().deposit):
        with pytest.raises(RefusedError, match="its credit information is not renewed"):
            act(card.slot("atm"), 100, town.line)
    assert (card.balance, town.float) == (1000, FLOAT - 1000)
    assert card.look().get_credit()[0].body.serial == 1


def test_a_listed_card_is_locked_out_at_the_atm(town: Town) -> None:
    card = town.card(1000)
    report_stolen(town.center, card.id)
    town.publish()
    with pytest.raises(ListedCardError):
        town.atm().renew(card.slot("atm"), town.line)
    assert town.screen.steps == ["S206", "S110"]
    assert card.state is LifeCycle.LOCKED_OUT


def test_a_wrong_resetting_code_changes_nothing(town: Town) -> None:
    card = town.card()
    with pytest.raises(StatusError) as declined:
        town.atm().unblock_pin(card.slot("atm"), pin_block("87654321"), pin_block("1111"))
    assert declined.value.sw == 0x63C9
    card.look().verify(PIN)


def test_the_right_resetting_code_replaces_the_pin(town: Town) -> None:
    card = town.card()
    town.atm().unblock_pin(card.slot("atm"), PUK, pin_block("1111"))
    card.look().verify(pin_block("1111"))


def test_a_card_that_was_found_is_unlocked_by_the_centers_order(town: Town) -> None:
    card, other = town.card(1000), town.card()
    report_stolen(town.center, card.id)
    town.publish()
    with pytest.raises(ListedCardError):
        town.purse_terminal().insert(card.slot("left"))
    with pytest.raises(RefusedError, match="may not be unlocked"):
        town.atm().unlock(card.slot("atm"), town.line)
    report_found(town.center, card.id)
    town.publish()
    town.atm().unlock(card.slot("atm"), town.line)
    assert card.state is LifeCycle.ACTIVE
    town.purse_terminal().remit(card.slot("left"), other.slot("right"), 100)
    assert other.balance == 100


def test_only_a_locked_card_is_unlocked(town: Town) -> None:
    card = town.card()
    with pytest.raises(RefusedError, match="is active, not locked out"):
        town.atm().unlock(card.slot("atm"), town.line)


def test_an_atm_with_a_check_unit_uses_it(town: Town) -> None:
    card = town.card()
    unit = CreditCheckUnit(7, check_order(town.center, 7, NOW), town.center.trust)
    town.atm(unit).load(card.slot("atm"), 100, town.line)
    town.clock.now += 1
    with pytest.raises(RefusedError, match="order for the credit check unit has expired"):
        town.atm(unit).load(card.slot("atm"), 100, town.line)
    assert card.balance == 100


def test_only_an_empty_card_is_terminated_and_its_history_is_handed_in(town: Town) -> None:
    card = town.card(100)
    with pytest.raises(RefusedError, match="is not empty"):
        town.atm().terminate(card.slot("atm"), town.line)
    town.atm().deposit(card.slot("atm"), 100, town.line)
    town.atm().terminate(card.slot("atm"), town.line)
    assert card.state is LifeCycle.TERMINATED
    with pytest.raises(RefusedError, match="is terminated: no business with it"):
        town.atm().renew(card.slot("atm"), town.line)


class Watch:
    """Somebody who looks, at each command to a card and each PIN, whether the float is free for other ATMs."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.busy: list[Ins] = []
        self.free: list[Ins] = []
        self.asked: list[bool] = []

    @property
    def is_free(self) -> bool:
        try:
            CardFile(self.town.center.folder / "float.card").close()
        except InUseError:
            return False
        return True

    def __call__(self, command: bytes, card: Callable[[bytes], bytes]) -> bytes:
        (self.free if self.is_free else self.busy).append(Ins(command[1]))
        return card(command)

    def pin(self, reason: str) -> bytes:
        assert reason.startswith("deposit from")
        self.asked.append(self.is_free)
        return PIN


def test_the_float_is_free_until_it_pays(town: Town) -> None:
    card, watch = town.card(), Watch(town)
    assert town.atm().load(HookedSlot(card.slot("atm"), watch), 1000, town.line).settled
    assert watch.busy == [Ins.RECEIVE]
    assert {Ins.REQUEST, Ins.ATTEST, Ins.PUT_CREDIT} <= set(watch.free)


def test_the_float_is_free_while_a_pin_is_typed_and_after_it_was_paid(town: Town) -> None:
    card, watch = town.card(9000), Watch(town)
    atm = Atm(town.store, town.screen, watch, town.clock)
    assert atm.deposit(HookedSlot(card.slot("atm"), watch), 6000, town.line).settled
    assert watch.busy == [Ins.PAY, Ins.PAY]
    assert {Ins.ATTEST, Ins.PUT_CREDIT, Ins.VERIFY, Ins.SETTLE} <= set(watch.free)
    assert watch.asked == [True]
    assert (card.balance, town.float) == (3000, FLOAT - 3000)


def test_a_deposit_that_was_cut_is_finished_and_not_made_again(town: Town) -> None:
    card = town.card(1000)
    with pytest.raises(ReaderError):
        town.atm().deposit(HookedSlot(card.slot("atm"), Lost(answered=False, ins=Ins.PAY)), 400, town.line)
    done = town.atm().deposit(card.slot("atm"), 400, town.line)
    assert (done.arrived, card.balance, town.float) == (True, 600, FLOAT - 600)
