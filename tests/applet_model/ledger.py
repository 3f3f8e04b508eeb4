"""What three cards say about themselves, and what must be true of it at any moment.

Everything comes from the cards: their history by READ RECORD, the rest by GET DATA, after a power-on, on
a copy of the memory so that the card itself is not disturbed. P1 to P8 are the properties of the Mondex
proofs that an electronic purse is held to.
"""

from dataclasses import dataclass
from hashlib import sha256
from typing import TypeVar

from apdu.identity import CardId, LifeCycle
from apdu.layout import Record
from apdu.messages import Credit, Receipt, Refusal, Value
from apdu.objects import Counters, HistoryRecord, Kind, Request, UnsettledEntry
from applet_model.backing import MemoryBacking
from applet_model.card import SmartCard
from host.model import ModelSlot
from host.session import PurseSession

__all__ = ["Account", "Ledger", "Seen"]

Transfer = tuple[CardId, int]
"""Payer and the payer's counter: there is one transfer of that name."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What one card tells after power-on; ``window`` is its history, newest first."""

    state: LifeCycle
    balance: int
    edition: int
    counters: Counters
    credit: Credit
    unsettled: tuple[UnsettledEntry, ...]
    window: tuple[HistoryRecord, ...]

    @classmethod
    def of(cls, image: bytes) -> "Seen":
        """Ask a copy of the card."""
        session = PurseSession(ModelSlot("copy", SmartCard(MemoryBacking(image))).connect())
        status, dead = session.selected.status, session.selected.status.state is LifeCycle.TERMINATED
        window = () if dead else tuple(session.history(session.get_capacities().history))
        unsettled, credit = tuple(session.get_unsettled()), session.get_credit()[0].body
        counters = session.get_counters()
        return cls(status.state, status.balance, status.edition, counters, credit, unsettled, window)

    @property
    def waiting(self) -> set[int]:
        """Counters of the unsettled transfers."""
        return {entry.counter for entry in self.unsettled}

    @property
    def held(self) -> int:
        """Balance, and unsettled money that may come back."""
        return self.balance + sum(entry.amount for entry in self.unsettled)

    @property
    def growing(self) -> tuple[int, ...]:
        """What never goes back: payments, requests, records, what the center saw, date, credit, edition."""
        told = self.counters
        numbers = (told.payments, told.requests, told.record, told.seen, told.date)
        return (*numbers, self.credit.serial, self.edition)


class Account:
    """One card over time: its whole history, as the center would have it after many uploads."""

    def __init__(self, card: CardId, image: bytes, balance_max: int) -> None:
        self.card, self.balance_max = card, balance_max
        self.image, self.seen = image, Seen.of(image)
        self.capacity = PurseSession(ModelSlot("copy", SmartCard(MemoryBacking(image))).connect()).get_capacities()
        self.log: list[HistoryRecord] = []
        self.chain = sha256(card).digest()
        self._history_goes_on()

    def observe(self, image: bytes, authority: set[Transfer]) -> None:
        """Look again after a command; ``authority`` is what the command was allowed to end."""
        if image == self.image:
            return
        before, self.image, self.seen = self.seen, image, Seen.of(image)
        self._never_goes_back(before)
        self._locked_card_keeps_its_money(before)
        self._p8_a_record_is_cleared_only_by_its_authority(before, authority)
        self._history_goes_on()

    def _never_goes_back(self, before: Seen) -> None:
        assert all(new >= old for old, new in zip(before.growing, self.seen.growing, strict=True))

    def _locked_card_keeps_its_money(self, before: Seen) -> None:
        if before.state is not LifeCycle.ACTIVE:
            assert (self.seen.balance, self.seen.waiting) == (before.balance, before.waiting)

    def _p8_a_record_is_cleared_only_by_its_authority(self, before: Seen, authority: set[Transfer]) -> None:
        assert {(self.card, counter) for counter in before.waiting - self.seen.waiting} <= authority

    def _history_goes_on(self) -> None:
        """New records are chained to the old ones, and the old ones stay as they were."""
        for record in reversed(self.seen.window):
            if record.number <= len(self.log):
                assert record == self.log[record.number - 1]
                continue
            assert record.number == len(self.log) + 1
            self.log.append(record)
            self.chain = sha256(self.chain + record.encode()).digest()
        assert self.seen.counters.record == len(self.log)
        assert self.seen.counters.chain == self.chain

    def transfers(self, kind: Kind) -> dict[Transfer, HistoryRecord]:
        """Records of one kind by transfer; no transfer has two of a kind."""
        found: dict[Transfer, HistoryRecord] = {}
        for record in self.log:
            if record.kind is kind:
                key = (record.other if kind is Kind.RECEIVED else self.card, record.counter)
                assert key not in found
                found[key] = record
        return found


RecordT = TypeVar("RecordT", bound=Record)


class Ledger:
    """The accounts, the money issued, and every genuine message that anybody could have."""

    def __init__(self, accounts: list[Account]) -> None:
        self.accounts = {account.card: account for account in accounts}
        self.issued = sum(account.seen.balance for account in accounts)
        self.requests: dict[CardId, list[Request]] = {card: [] for card in self.accounts}
        self.said: set[Record] = set()

    def every(self, kind: type[RecordT]) -> list[RecordT]:
        """Genuine values, receipts or refusals that a card has given."""
        return [body for body in self.said if isinstance(body, kind)]

    @property
    def balances(self) -> int:
        """The sum of all balances."""
        return sum(account.seen.balance for account in self.accounts.values())

    def received(self, payee: CardId) -> dict[Transfer, HistoryRecord]:
        """What a card has received, by its own history."""
        return self.accounts[payee].transfers(Kind.RECEIVED)

    @property
    def in_doubt(self) -> int:
        """Unsettled money that its payee has not credited: it is on its way, or comes back."""
        return sum(
            entry.amount
            for account in self.accounts.values()
            for entry in account.seen.unsettled
            if (account.card, entry.counter) not in self.received(entry.payee)
        )

    def p1_no_value_is_created(self) -> None:
        assert self.balances <= self.issued

    def p2_all_value_is_accounted(self) -> None:
        assert self.balances + self.in_doubt == self.issued

    def p3_only_authentic_purses_take_part(self) -> None:
        for account in self.accounts.values():
            others = {record.other for record in account.log} | {e.payee for e in account.seen.unsettled}
            assert others <= self.accounts.keys() - {account.card}

    def p4_no_balance_is_below_zero_or_above_the_most(self) -> None:
        for account in self.accounts.values():
            balance = account.seen.balance
            assert 0 <= balance <= account.balance_max
            assert account.seen.held <= account.balance_max
            assert balance == (account.log[-1].balance if account.log else balance)

    def p5_value_in_doubt_is_always_recorded(self) -> None:
        for account in self.accounts.values():
            refunded = account.transfers(Kind.REFUNDED)
            for (payer, counter), record in account.transfers(Kind.PAID).items():
                arrived = (payer, counter) in self.received(record.other)
                assert not (arrived and (payer, counter) in refunded)
                assert arrived or (payer, counter) in refunded or counter in account.seen.waiting

    def p6_numbers_are_below_their_owners_next(self) -> None:
        told = {card: account.seen.counters for card, account in self.accounts.items()}
        for value in self.every(Value):
            assert 0 < value.counter <= told[value.payer].payments
        for card, account in self.accounts.items():
            assert all(request.number <= told[card].requests for request in self.requests[card])
            for payer, counter in self.received(card):
                assert counter <= told[payer].payments
            assert all(r.request <= told[card].requests for r in account.log if r.kind is Kind.RECEIVED)

    def p7_nothing_speaks_of_a_payment_that_was_not_made(self) -> None:
        for value in self.every(Value):
            paid = self.accounts[value.payer].transfers(Kind.PAID)[value.payer, value.counter]
            assert (paid.other, paid.request, paid.amount) == (value.payee, value.request, value.amount)
        for receipt in self.every(Receipt):
            assert (receipt.payer, receipt.counter) in self.received(receipt.payee)
            assert (receipt.payer, receipt.counter) in self.accounts[receipt.payer].transfers(Kind.PAID)
        for refusal in self.every(Refusal):
            assert (refusal.payer, refusal.counter) not in self.received(refusal.payee)

    def nothing_is_lost_before_the_center_has_seen_it(self) -> None:
        for account in self.accounts.values():
            counters = account.seen.counters
            assert counters.record - counters.seen <= account.capacity.history
            assert len(account.seen.unsettled) <= account.capacity.unsettled
