"""The ATM, on the line to the center: load, deposit, credit renewal [0032], PIN unblocking, unlocking."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from apdu.errors import RefusedError
from apdu.identity import CardId, LifeCycle
from apdu.messages import Credit
from host.connection import CardSlot
from host.session import Answer, Paid, PurseSession
from host.terminal.line import CenterLine
from host.terminal.renewal import renew, terminate
from host.terminal.steps import Step
from host.terminal.terminal import Terminal
from host.terminal.transfer import Transfer, ask, pay, receive, settle, with_pin

__all__ = ["Atm"]


class _Float:
    """The center's float, which all its ATMs share: each takes it only while it has to be there.

    Nothing that waits for a person happens meanwhile. A card that falls silent between PAY and SETTLE keeps the other
    ATMs out until it is given up, see host/patience.py.
    """

    def __init__(self, line: CenterLine) -> None:
        """Nothing is taken yet."""
        self._line = line
        self._card: CardId | None = None

    @property
    def card(self) -> CardId:
        """The float's ID, which is known once it was taken."""
        if self._card is None:
            with self.taken() as purse:
                return purse.card
        return self._card

    @contextmanager
    def taken(self) -> Iterator[PurseSession]:
        """The float, for this ATM alone; raises InUseError when others have it for too long."""
        slot = self._line.float_slot()
        try:
            purse = PurseSession(slot.connect())
            self._card = purse.card
            yield purse
        finally:
            slot.close()


class Atm(Terminal):
    """A terminal with a line; the float at its other end is a purse like every other."""

    def load(self, slot: CardSlot, amount: int, line: CenterLine) -> Transfer:
        """Put ``amount`` minor units on a card, out of the float; the credit is renewed on the way."""
        with self.cards((slot,), Step.S110) as (card,):
            self._check(card)
            the_float = _Float(line)
            if done := self._finish(the_float, card, lambda purse: self.finish_same(purse, card, amount)):
                return done
            self._access(card, line)
            self.display.show(f"load {self.money(amount)} on card {card.card}")
            requested = ask(card, the_float.card, amount, self.now)
            with the_float.taken() as purse:
                paid = pay(purse, requested, self.now)
                return settle(purse, paid, receive(card, paid, self.now), self.now)

    def deposit(self, slot: CardSlot, amount: int, line: CenterLine) -> Transfer:
        """Take ``amount`` minor units off a card, back into the float."""
        with self.cards((slot,), Step.S110) as (card,):
            self._check(card)
            the_float = _Float(line)
            if done := self._finish(the_float, card, lambda purse: self.finish_same(card, purse, amount)):
                return done
            self._access(card, line)
            self.display.show(f"deposit {self.money(amount)} from card {card.card}")
            ask_pin = self.ask_pin(card, amount, f"deposit from {card.card}")
            paid, answer = with_pin(card, ask_pin, lambda: self._pay_in(card, the_float, amount))
            return settle(card, paid, answer, self.now)

    def _pay_in(self, card: PurseSession, the_float: "_Float", amount: int) -> tuple[Paid, Answer]:
        """REQUEST, PAY and RECEIVE of a deposit: the float has one open request at a time, so it is held for all three.

        Where the card wants its PIN, the float is given back, and asked anew once the PIN is there.
        """
        with the_float.taken() as purse:
            paid = pay(card, ask(purse, card.card, amount, self.now), self.now)
            return paid, receive(purse, paid, self.now)

    def _finish(
        self, the_float: "_Float", card: PurseSession, finish: Callable[[PurseSession], Transfer | None]
    ) -> Transfer | None:
        """End what was cut between float and card, if anything was; the float is held that long."""
        owed = {entry.payee for entry in card.get_unsettled()} if card.selected.status.unsettled else set()
        with the_float.taken() as purse:
            waits = purse.card in owed or any(entry.payee == card.card for entry in purse.get_unsettled())
            return finish(purse) if waits else None

    def _check(self, card: PurseSession) -> None:
        self.check_blacklist((card,), Step.S206)

    def _access(self, card: PurseSession, line: CenterLine) -> None:
        """Renew the credit information "automatically, at access" [0032], and what goes with it."""
        renew(card, line, self.now, self.store.newest_head)
        self.check_credit(card)
        self.carry_head(card)

    def renew(self, slot: CardSlot, line: CenterLine) -> Credit:
        """Fig. 7: renew the credit information, by the owner's wish."""
        with self.cards((slot,), Step.S110) as (card,):
            self._check(card)
            credit = renew(card, line, self.now, self.store.newest_head)
            self.display.show(f"card {card.card}: new credit information, number {credit.serial}")
            self.carry_head(card)
        return credit

    def unblock_pin(self, slot: CardSlot, resetting_code: bytes, new_pin: bytes) -> None:
        """Give a blocked PIN its tries back; both codes are blocks of 8 bytes."""
        with self.cards((slot,), Step.S110) as (card,):
            self._check(card)
            card.reset_retry_counter(resetting_code, new_pin)
            self.display.show(f"card {card.card}: the PIN is replaced")

    def unlock(self, slot: CardSlot, line: CenterLine) -> None:
        """Bring a card that the center has unlocked its order."""
        with self.cards((slot,), Step.S110) as (card,):
            if card.selected.status.state is not LifeCycle.LOCKED_OUT:
                raise RefusedError(f"card {card.card} is {card.selected.status.state.text}, not locked out")
            card.unlock(line.unlock_order(card.card))
            self.display.show(f"card {card.card} is unlocked")

    def terminate(self, slot: CardSlot, line: CenterLine) -> None:
        """End the life of an empty card; there is no way back. Its history is handed in first.

        Raises RefusedError for a card that holds money, or has transfers that are not settled.
        """
        with self.cards((slot,), Step.S110) as (card,):
            self._check(card)
            terminate(card, line, self.now, self.store.newest_head)
            self.display.show(f"card {card.card} is terminated")
