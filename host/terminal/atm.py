"""The ATM, on the line to the center: load, deposit, credit renewal [0032], PIN unblocking, unlocking."""

from apdu.errors import RefusedError
from apdu.identity import LifeCycle
from apdu.messages import Credit
from host.connection import CardSlot
from host.session import PurseSession
from host.terminal.line import CenterLine
from host.terminal.renewal import renew, terminate
from host.terminal.steps import Step
from host.terminal.terminal import Terminal
from host.terminal.transfer import Transfer, transfer

__all__ = ["Atm"]


class Atm(Terminal):
    """A terminal with a line; the float at its other end is a purse like every other."""

    def load(self, slot: CardSlot, amount: int, line: CenterLine) -> Transfer:
        """Put ``amount`` minor units on a card, out of the float; the credit is renewed on the way."""
        float_slot = line.float_slot()
        with self.cards((slot, float_slot), Step.S110) as (card, purse):
            self._check(card)
            if done := self.finish_same(purse, card, amount):
                return done
            self._access(card, line)
            self.display.show(f"load {self.money(amount)} on card {card.card}")
            return transfer(purse, card, amount, self.now, self.ask_pin(purse, amount, "the float"))

    def deposit(self, slot: CardSlot, amount: int, line: CenterLine) -> Transfer:
        """Take ``amount`` minor units off a card, back into the float."""
        float_slot = line.float_slot()
        with self.cards((slot, float_slot), Step.S110) as (card, purse):
            self._check(card)
            if done := self.finish_same(card, purse, amount):
                return done
            self._access(card, line)
            self.display.show(f"deposit {self.money(amount)} from card {card.card}")
            ask_pin = self.ask_pin(card, amount, f"deposit from {card.card}")
            return transfer(card, purse, amount, self.now, ask_pin)

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
