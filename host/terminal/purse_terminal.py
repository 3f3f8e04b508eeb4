"""The purse terminal (13) with two slots: remittance (fig. 2), check at insertion (fig. 3)."""

from dataclasses import dataclass

from apdu.identity import CardId
from apdu.messages import Credit
from apdu.objects import HistoryRecord, UnsettledEntry
from host.connection import CardSlot
from host.session import PurseSession
from host.terminal.steps import Step
from host.terminal.terminal import Terminal
from host.terminal.transfer import Transfer, transfer

__all__ = ["Inspection", "PurseTerminal", "inspect"]


@dataclass(frozen=True, slots=True)
class Inspection:
    """What S205 shows: balance and history, and what else a person may want to know."""

    card: CardId
    balance: int
    credit: Credit
    unsettled: list[UnsettledEntry]
    history: list[HistoryRecord]


def inspect(session: PurseSession, most: int = 10) -> Inspection:
    """Read what a person may see of a purse: the ``most`` newest records."""
    status = session.selected.status
    credit = session.get_credit()[0].body
    return Inspection(session.card, status.balance, credit, session.get_unsettled(), session.history(most))


class PurseTerminal(Terminal):
    """Two people, two cards, no bank."""

    def remit(self, payer_slot: CardSlot, payee_slot: CardSlot, amount: int) -> Transfer:
        """Fig. 2, S101 to S110: the first card pays the second ``amount`` minor units."""
        money = self.money(amount)
        with self.cards((payer_slot, payee_slot), Step.S110) as (payer, payee):
            self.display.step(Step.S101)
            self.display.step(Step.S102, str(money))
            self.display.step(Step.S103, payer.card.text)
            self.display.step(Step.S104, payee.card.text)
            self.display.step(Step.S105, f"edition {self.store.number}")
            self.display.step(Step.S106)
            self.check_blacklist((payer, payee), Step.S108, amount)
            self.check_credit(payer)
            done = self.finish_same(payer, payee, amount)
            if done is None:
                self.display.step(Step.S107, str(money))
                ask_pin = self.ask_pin(payer, amount, f"{money} from {payer.card}")
                done = transfer(payer, payee, amount, self.now, ask_pin)
            self.display.step(Step.S109, "" if done.settled else "settles when the paying card comes again")
            for session in (payer, payee):
                self.carry_head(session)
        return done

    def resume(self, first: CardSlot, second: CardSlot) -> list[Transfer]:
        """Only end what was cut between two cards."""
        with self.cards((first, second), Step.S110) as (one, other):
            self.check_blacklist((one, other), Step.S108)
            return self.finish_torn(one, other)

    def insert(self, slot: CardSlot) -> Inspection:
        """Fig. 3, S201 to S206: check at insertion; then balance and history."""
        with self.cards((slot,), Step.S110) as (session,):
            self.display.step(Step.S201, slot.name)
            self.display.step(Step.S202, session.card.text)
            self.display.step(Step.S203, f"edition {self.store.number}")
            self.display.step(Step.S204)
            self.check_blacklist((session,), Step.S206)
            seen = inspect(session)
            self.display.step(Step.S205, str(self.money(seen.balance)))
            self.carry_head(session)
        return seen
