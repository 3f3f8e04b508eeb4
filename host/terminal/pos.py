"""The POS (30): one slot for customers, the merchant's card in its own, fig. 5 with S301 to S313."""

from apdu.errors import CardError, MisbehaviourError, ReaderError, RefusedError, StoreError
from apdu.identity import Role
from apdu.objects import Request
from apdu.status import StatusError, StatusWord
from host.connection import CardSlot
from host.session import PurseSession
from host.terminal.booking import book_what_was_cut
from host.terminal.line import CenterLine
from host.terminal.renewal import renew
from host.terminal.sales import Begun, SalesStore
from host.terminal.steps import Step
from host.terminal.terminal import FinishedBeforeError, Terminal
from host.terminal.transfer import Transfer, transfer

__all__ = ["InsufficientMoneyError", "PointOfSale"]

_RENEWABLE = (StatusWord.CREDIT_EXPIRED, StatusWord.CREDIT_LIMIT, StatusWord.HISTORY_FULL)


class InsufficientMoneyError(RefusedError):
    """S311: the card holds less than the amount."""


class PointOfSale(Terminal):
    """A POS. Its customers' cards see three commands: SELECT, PAY and SETTLE."""

    def sell(
        self,
        customer: CardSlot,
        merchant: CardSlot,
        amount: int,
        sales: SalesStore,
        line: CenterLine | None = None,
    ) -> Transfer:
        """Fig. 5: take ``amount`` minor units; ``line`` renews credit at an online POS [0030].

        Raises InsufficientMoneyError, ListedCardError and what ``transfer`` raises; StoreError before anything has
        moved, when the sale cannot be written down.
        """
        money = self.money(amount)
        with self.cards((customer, merchant), Step.S313) as (payer, till):
            self.display.step(Step.S301, customer.name)
            self.display.step(Step.S302, str(money))
            self.display.step(Step.S303)
            self._check(payer, till, amount)
            done = self._finish_same(payer, till, amount, sales)
            if done is None:
                self._enough(payer, amount)
                self.display.step(Step.S310, str(money))
                done = self._transfer(payer, till, amount, sales, line)
            self._book(till, done, sales)
            if done.settled:
                self.carry_head(payer)
        return done

    def _finish_same(self, payer: PurseSession, till: PurseSession, amount: int, sales: SalesStore) -> Transfer | None:
        """As ``finish_same``, for a sale that this POS has begun; whatever has ended is booked.

        A transfer of the same amount that was begun elsewhere may be a remittance, or is a sale of another POS, which
        counts it when it meets the merchant's card again.
        """
        begun = {(one.request, one.customer, one.amount) for one in sales.begun(till.card)}
        try:
            done = self.finish_same(payer, till, amount)
        finally:
            self._catch_up(till, sales)
        if done is not None and (done.request, done.payer, done.amount) not in begun:
            raise FinishedBeforeError(self.finished_before(amount))
        return done

    def _catch_up(self, till: PurseSession, sales: SalesStore) -> None:
        """Book what was cut before; what cannot be asked now is asked at the next sale."""
        try:
            for one in book_what_was_cut(till, sales):
                self.display.show(f"a sale of {self.money(one.amount)} that was cut is booked")
        except (CardError, ReaderError, StoreError) as error:
            self.display.show(f"whether a sale that was cut was paid is asked at the next sale: {error}")

    def _book(self, till: PurseSession, done: Transfer, sales: SalesStore) -> None:
        """S312. The money has moved by now: stores that cannot follow catch up at the next sale."""
        try:
            sales.book(till.card, done.request, done.counter)
            self.display.step(Step.S312, f"{self.money(sales.amount(till.card))} in all")
        except StoreError as error:
            self.display.show(f"paid, but not booked yet, that comes with the next sale: {error}")

    def _check(self, payer: PurseSession, till: PurseSession, amount: int) -> None:
        """S304 to S308."""
        self.display.step(Step.S304, payer.card.text)
        self.display.step(Step.S305, f"edition {self.store.number}")
        self.display.step(Step.S306)
        self.check_blacklist((payer, till), Step.S308, amount)
        self._require_merchant(till)
        self.check_credit(payer)

    def _require_merchant(self, till: PurseSession) -> None:
        """Raise RefusedError unless the card that takes the money is certified as a merchant's."""
        certificate = self.store.trust.certified(till.get_certificate())
        if certificate.subject != till.card:
            raise MisbehaviourError(f"card {till.card} shows the certificate of card {certificate.subject}")
        if certificate.role is not Role.MERCHANT:
            whose = f"card {till.card} has the role {certificate.role.name.lower()}"
            raise RefusedError(f"{whose}: a POS takes money with a card of the role merchant (--merchant) only")

    def _enough(self, payer: PurseSession, amount: int) -> None:
        """S307, S309, S311."""
        balance = payer.selected.status.balance
        self.display.step(Step.S307, str(self.money(balance)))
        self.display.step(Step.S309)
        if balance < amount:
            self.display.step(Step.S311, f"{self.money(balance)} on the card, {self.money(amount)} to pay")
            raise InsufficientMoneyError(f"card {payer.card} holds {self.money(balance)}, too little")

    def _transfer(
        self, payer: PurseSession, till: PurseSession, amount: int, sales: SalesStore, line: CenterLine | None
    ) -> Transfer:
        """S310; where there is a line, the card that wants to be renewed is renewed on the way, once each."""
        ask_pin = self.ask_pin(payer, amount, f"{self.money(amount)} from {payer.card}")
        declining = {"REQUEST": till, "PAY": payer}

        def begin(request: Request) -> None:
            """The sale is on the disk before it is paid."""
            sales.begin(till.card, Begun(request.number, payer.card, amount, self.now))

        while True:
            try:
                return transfer(payer, till, amount, self.now, ask_pin, begin)
            except StatusError as error:
                card = declining.pop(error.command, None)
                if line is None or card is None or error.sw not in _RENEWABLE:
                    raise
            self.display.show(f"the credit of card {card.card} is being renewed")
            renew(card, line, self.now)

    def open_till(self, merchant: CardSlot, sales: SalesStore) -> None:
        """With the merchant's card alone: book what was cut and is decided by now."""
        with self.cards((merchant,), Step.S313) as (till,):
            self._require_merchant(till)
            self._catch_up(till, sales)
