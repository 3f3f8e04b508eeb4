"""The center ends transfers that were cut: by the payee's own word, and never so that money comes twice."""

from collections.abc import Iterator
from itertools import pairwise, product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apdu.errors import RefusedError
from apdu.messages import Outcome, Refusal, Resolution
from apdu.objects import Kind
from apdu.status import StatusError, StatusWord
from host.session import Paid
from tests.center.bank import Bank
from tests.issuer import NOW


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    return Bank(tmp_path / "center")


class Pair:
    """A payer with 1000, a payee with nothing, and one transfer of 100 between them that is cut somewhere."""

    def __init__(self, bank: Bank) -> None:
        self.bank = bank
        self.payer, self.payee = bank.purse(initial=1000), bank.purse()
        self.paid: list[Paid] = []

    def open(self) -> None:
        """The payee opens a request, which closes the one before, and the payer pays it."""
        paying, paid = self.payer.session(), self.payee.session()
        self.paid.append(paying.pay(paid.request(100, paying.card, NOW), NOW))

    def reopen(self) -> None:
        """The payee gives the open request up for a new one."""
        self.payee.session().request(100, self.payer.id, NOW)

    def deliver(self) -> None:
        """Bring every value that was ever given out, however late, and throw the answers away."""
        for paid in self.paid:
            self.payee.session().receive(paid, NOW)

    def settle(self) -> None:
        """Bring every value and its answer, however late."""
        for paid in self.paid:
            answer = self.payee.session().receive(paid, NOW)
            try:
                self.payer.session().settle(answer)
            except StatusError as error:
                assert error.sw == StatusWord.DATA_NOT_FOUND  # noqa: PT017  (what is settled is forgotten)

    def renew_payer(self) -> None:
        self.bank.renew(self.payer)

    def renew_payee(self) -> None:
        self.bank.renew(self.payee)

    def lose_payer(self) -> None:
        """A renewal of the payer's of which the card gets nothing."""
        self.bank.hand_in(self.payer)

    def received(self) -> int:
        """Money that the payee has really been credited."""
        return sum(record.amount for record in self.payee.session().history(64) if record.kind is Kind.RECEIVED)

    def check(self) -> None:
        """Money is on one of the cards or on its way, never twice and never nowhere."""
        session = self.payer.session()
        gone = 1000 - session.selected.status.balance
        waiting = sum(entry.amount for entry in session.get_unsettled())
        assert self.payee.balance == self.received()
        assert gone - waiting <= self.received() <= gone, "value was made or lost"

    def end(self) -> None:
        """After both cards were at the center, and met once more, nothing is on its way."""
        self.renew_payee()
        self.reopen()
        self.renew_payee()
        self.renew_payer()
        self.settle()
        self.check()
        assert not self.payer.session().get_unsettled()
        assert self.payer.balance + self.payee.balance == 1000


@pytest.fixture
def pair(bank: Bank) -> Pair:
    return Pair(bank)


def resolve(pair: Pair) -> list[Outcome]:
    """What the center signs for the payer now."""
    return [resolution.body.outcome for resolution in pair.bank.hand_in(pair.payer).resolutions]


def test_received_is_settled(pair: Pair) -> None:
    pair.open()
    pair.deliver()
    pair.renew_payee()
    assert resolve(pair) == [Outcome.RECEIVED]
    pair.renew_payer()
    assert (pair.payer.balance, pair.payee.balance) == (900, 100)
    assert not pair.payer.session().get_unsettled()


def test_never_received_comes_back(pair: Pair) -> None:
    pair.open()
    pair.reopen()
    pair.renew_payee()
    assert resolve(pair) == [Outcome.NEVER_RECEIVED]
    pair.renew_payer()
    assert (pair.payer.balance, pair.payee.balance) == (1000, 0)
    assert pair.payer.session().history(1)[0].kind is Kind.REFUNDED


def test_while_the_request_is_open_nothing_is_decided(pair: Pair) -> None:
    pair.open()
    pair.renew_payee()
    assert resolve(pair) == []
    pair.renew_payer()
    assert pair.payer.session().get_unsettled()
    pair.settle()
    assert (pair.payer.balance, pair.payee.balance) == (900, 100)


def test_without_the_payees_word_nothing_is_decided(pair: Pair) -> None:
    pair.open()
    pair.deliver()
    assert resolve(pair) == []


def test_a_word_from_before_the_request_decides_nothing(pair: Pair) -> None:
    pair.renew_payee()
    pair.open()
    pair.reopen()
    assert resolve(pair) == []


def test_a_request_that_was_refused_is_never_received(pair: Pair) -> None:
    pair.open()
    pair.reopen()
    assert isinstance(pair.payee.session().receive(pair.paid[0], NOW).body, Refusal)
    pair.renew_payee()
    assert resolve(pair) == [Outcome.NEVER_RECEIVED]


def test_what_came_back_is_refused_for_ever(pair: Pair) -> None:
    pair.open()
    pair.reopen()
    pair.renew_payee()
    pair.renew_payer()
    assert isinstance(pair.payee.session().receive(pair.paid[0], NOW).body, Refusal)
    assert (pair.payer.balance, pair.payee.balance) == (1000, 0)


def test_a_resolution_pays_back_once(pair: Pair) -> None:
    pair.open()
    pair.reopen()
    pair.renew_payee()
    resolutions = [pair.bank.hand_in(pair.payer).resolutions[0] for _ in range(2)]
    pair.payer.session().settle(resolutions[0])
    for again in resolutions:
        with pytest.raises(StatusError, match="no such data"):
            pair.payer.session().settle(again)
    assert pair.payer.balance == 1000


def test_a_resolution_is_for_one_payment_of_one_card(pair: Pair) -> None:
    pair.open()
    pair.reopen()
    pair.renew_payee()
    first = pair.bank.hand_in(pair.payer).resolutions[0]
    assert (first.body.payer, first.body.counter) == (pair.payer.id, 1)
    pair.payer.session().settle(first)
    pair.open()
    with pytest.raises(StatusError, match="no such data"):
        pair.payer.session().settle(first)
    with pytest.raises(StatusError, match="950C"):
        pair.payee.session().settle(first)


def test_the_resolution_is_the_centers(pair: Pair) -> None:
    pair.open()
    pair.deliver()
    pair.renew_payee()
    signed = pair.bank.hand_in(pair.payer).resolutions[0]
    raw = bytearray(signed.raw)
    raw[Resolution.SIZE - 1] = Outcome.NEVER_RECEIVED
    with pytest.raises(StatusError, match="950B"):
        pair.payer.session().settle(type(signed).decode(Resolution, bytes(raw)))


def test_a_made_up_request_waits_until_the_number_is_reached(pair: Pair) -> None:
    """A value for a request that was never opened is decided only when that number can be opened no more."""
    payer, payee = pair.payer.session(), pair.payee.session()
    requested = payee.request(100, payer.card, NOW)
    made_up = type(requested)(requested.certificate, type(requested.request)(2, bytes(8), 100, 978))
    pair.paid.append(payer.pay(made_up, NOW))
    pair.renew_payee()
    assert resolve(pair) == []
    pair.reopen()
    pair.renew_payee()
    assert resolve(pair) == []
    pair.reopen()
    pair.renew_payee()
    assert resolve(pair) == [Outcome.NEVER_RECEIVED]
    pair.end()


def test_money_from_somebody_else_with_the_same_counter_does_not_count(pair: Pair) -> None:
    other = pair.bank.purse(initial=1000)
    pair.open()
    pair.bank.pay(other, pair.payee, 50)
    pair.renew_payee()
    assert resolve(pair) == [Outcome.NEVER_RECEIVED]


def test_several_transfers_each_get_their_own_end(pair: Pair) -> None:
    pair.open()
    pair.deliver()
    pair.open()
    pair.reopen()
    pair.renew_payee()
    assert resolve(pair) == [Outcome.RECEIVED, Outcome.NEVER_RECEIVED]
    pair.renew_payer()
    assert (pair.payer.balance, pair.payee.balance) == (900, 100)


ACTIONS = ("open", "reopen", "deliver", "settle", "renew_payer", "renew_payee", "lose_payer")


def play(bank: Bank, actions: tuple[str, ...]) -> None:
    pair = Pair(bank)
    for action in actions:
        try:
            getattr(pair, action)()
        except (StatusError, RefusedError) as error:
            assert "unsettled" in str(error) or "history" in str(error), actions  # noqa: PT017
        pair.check()
    pair.end()


def short_histories() -> Iterator[tuple[str, ...]]:
    """Everything that can happen in four steps after a payment; renewals that only repeat are left out."""
    for actions in product(ACTIONS[1:], repeat=3):
        if all(one != other for one, other in pairwise(actions)):
            yield ("open", *actions)


def test_no_short_history_makes_or_loses_money(bank: Bank) -> None:
    for actions in short_histories():
        play(bank, actions)


@pytest.fixture(scope="module")
def busy_bank(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    """One center for many pairs."""
    return Bank(tmp_path_factory.mktemp("busy") / "center")


@settings(max_examples=60)
@given(st.lists(st.sampled_from(ACTIONS), max_size=14).map(tuple))
def test_no_history_makes_or_loses_money(busy_bank: Bank, actions: tuple[str, ...]) -> None:
    play(busy_bank, actions)
