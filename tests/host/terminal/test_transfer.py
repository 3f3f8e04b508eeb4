"""A transfer that is cut at any point ends when the cards meet again, in any terminal.

Swept are, for each of the two cards in turn: every physical write, half written and written; every command, lost
or with its answer lost. Then both cards come to a terminal that starts anew.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product

import pytest

from apdu.errors import ReaderError, RefusedError
from apdu.messages import Refusal
from applet_model.memory import Cut
from host.session import Answer, Paid, PurseSession
from host.terminal.transfer import Transfer, resume, transfer
from tests.host.terminal.faults import Lost, honest
from tests.host.terminal.flows import AMOUNT, FLOWS, PAYEE, PAYER, Flow, Hooks
from tests.host.terminal.town import Hook, Town
from tests.issuer import FAR, NOW, PIN, Issuer

ISSUER = Issuer()
LEAST = {"remittance": 94, "sale": 86, "load": 88, "deposit": 88}
"""At least so many cases each: fewer would mean that the sweep has gone blind."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One of two cards; and a physical write with what it leaves, or a command with whether it is answered."""

    place: int
    at: int
    left: Cut | None = None
    answered: bool = False

    def hooks(self) -> Hooks:
        return with_hook(self.place, honest if self.left else Lost(at=self.at, answered=self.answered))


def with_hook(place: int, hook: Hook) -> Hooks:
    return (hook, honest) if place == PAYER else (honest, hook)


class Counting:
    """A hook that counts commands."""

    def __init__(self) -> None:
        self.commands = 0

    def __call__(self, command: bytes, card: Callable[[bytes], bytes]) -> bytes:
        self.commands += 1
        return card(command)


def faults(flow: Flow) -> Iterator[Fault]:
    """Run the flow in peace, once for each card, to know how much can happen to that card."""
    for place in (PAYER, PAYEE):
        chip, counting = flow.begin()[place], Counting()
        before = chip.writes
        assert flow.run(with_hook(place, counting)).settled
        for at, left in product(range(chip.writes - before), Cut):
            yield Fault(place, at, left)
        for at, answered in product(range(counting.commands), (False, True)):
            yield Fault(place, at, answered=answered)


def cut(flow: Flow, fault: Fault) -> Transfer | None:
    """Run the flow with the fault; None when it does not say that it is done."""
    chip = flow.begin()[fault.place]
    if fault.left:
        chip.tear(fault.at, fault.left)
    try:
        return flow.run(fault.hooks())
    except ReaderError:
        return None


@pytest.mark.parametrize("name", FLOWS)
def test_whatever_is_cut_nothing_is_lost_and_nothing_stays_open(town: Town, name: str) -> None:
    """Nobody who was not told that it is done pays twice, and who was told pays again only what is new."""
    flow = FLOWS[name](town)
    cases = list(faults(flow))
    assert len(cases) >= LEAST[name]
    told = set()
    for fault in cases:
        done = cut(flow, fault)
        flow.again()
        twice = flow.moved() == 2 * AMOUNT
        assert twice or flow.moved() == AMOUNT, fault
        unheard = done is not None and not done.settled  # the card may have settled, and not been heard
        assert unheard or twice == bool(done), fault
        told.add(done is not None and done.settled)
    assert told == {True, False} if name in ("remittance", "sale") else {False}


# --- one transfer ------------------------------------------------------------------------------------------


def sessions(money: int = 1000) -> tuple[PurseSession, PurseSession]:
    """A payer with money, and a payee."""
    return PurseSession(ISSUER.purse(1, initial=money)), PurseSession(ISSUER.purse(2))


def no_pin(_left: int | None) -> bytes:
    raise AssertionError("nobody is asked")


def balances(*purses: PurseSession) -> list[int]:
    return [purse.select().status.balance for purse in purses]


def test_a_transfer_tells_what_it_was() -> None:
    payer, payee = sessions()
    assert transfer(payer, payee, 100, NOW, no_pin) == Transfer(payer.card, 100, 1, 1, True, True, arrived=True)
    assert transfer(payer, payee, 50, NOW, no_pin) == Transfer(payer.card, 50, 2, 2, True, True, arrived=True)


def test_a_refused_transfer_says_that_the_money_is_back() -> None:
    payer, payee = sessions()
    requested = payee.request(100, payer.card, NOW)
    paid = payer.pay(requested, NOW)
    payee.request(5, payer.card, NOW)
    payer.select()
    [ended] = resume(payer, payee, NOW)
    assert (ended.credited, ended.settled, ended.arrived) == (False, True, False)
    assert isinstance(payee.receive(paid, NOW).body, Refusal)
    assert balances(payer, payee) == [1000, 0]


class LateReceiver(PurseSession):
    """Its terminal is slow: the payer's certificate has run out when the value arrives."""

    def receive(self, paid: Paid, date: int) -> Answer:
        return super().receive(paid, max(date, FAR + 1))


def test_a_payee_that_refuses_at_once_is_told() -> None:
    payer, payee = PurseSession(ISSUER.purse(1, initial=1000)), LateReceiver(ISSUER.purse(2))
    with pytest.raises(RefusedError, match="refused the money; it is back on card"):
        transfer(payer, payee, 100, NOW, no_pin)
    assert balances(payer, payee) == [1000, 0]


def test_several_cut_transfers_are_ended_oldest_first() -> None:
    payer, payee = sessions()
    for amount in (100, 10, 1):
        payer.pay(payee.request(amount, payer.card, NOW), NOW)
    payer.select()
    ended = resume(payer, payee, NOW)
    assert [(torn.amount, torn.arrived) for torn in ended] == [(100, False), (10, False), (1, True)]
    assert balances(payer, payee) == [999, 1]
    assert resume(payer, payee, NOW) == []


def test_transfers_to_another_card_are_left_alone() -> None:
    payer, payee = sessions()
    third = PurseSession(ISSUER.purse(3))
    payer.pay(third.request(100, payer.card, NOW), NOW)
    payer.select()
    assert resume(payer, payee, NOW) == []
    assert [torn.credited for torn in resume(payer, third, NOW)] == [True]


def test_money_that_arrived_before_the_cut_does_not_arrive_now() -> None:
    payer, payee = sessions()
    payee.receive(payer.pay(payee.request(100, payer.card, NOW), NOW), NOW)
    payer.select()
    assert [(torn.credited, torn.arrived) for torn in resume(payer, payee, NOW)] == [(True, False)]
    assert balances(payer, payee) == [900, 100]


def test_the_pin_is_asked_once_for_each_try() -> None:
    payer, payee = sessions(20_000)
    asked: list[bytes] = []
    told: list[int | None] = []

    def pin(left: int | None) -> bytes:
        told.append(left)
        asked.append(PIN)
        return PIN if len(asked) > 1 else b"0000\xff\xff\xff\xff"

    giver = PurseSession(ISSUER.purse(4, pin_above=0))
    transfer(payer, giver, 5000, NOW, no_pin)
    transfer(giver, payee, 100, NOW, pin)
    assert (len(asked), told) == (2, [None, 2])
    transfer(giver, payee, 100, NOW, pin)
    assert (len(asked), told) == (3, [None, 2, None])
