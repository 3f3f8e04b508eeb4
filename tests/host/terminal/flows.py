"""The four flows in which money moves, so that a sweep can cut them: remittance, sale, load, deposit."""

from abc import ABC, abstractmethod
from contextlib import suppress

from apdu.identity import Role
from center.float_watch import WatchedSlot
from center.line import LocalLine
from host.connection import CardSlot
from host.model import CardFile, ModelSlot, SmartCard
from host.session import PurseSession
from host.terminal.terminal import FinishedBeforeError
from host.terminal.transfer import Transfer
from tests.host.terminal.faults import honest
from tests.host.terminal.town import FLOAT, Hook, HookedSlot, Town

__all__ = ["AMOUNT", "FLOWS", "PAYEE", "PAYER", "Flow", "Hooks"]

MONEY, AMOUNT = 10_000, 300
PAYER, PAYEE = 0, 1
Hooks = tuple[Hook, Hook]
IN_PEACE = (honest, honest)


class Flow(ABC):
    """Moves AMOUNT from a payer's card to a payee's, in a terminal, and again in another one."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.elsewhere = town.new_store("elsewhere")
        town.publish(town.store, self.elsewhere)

    @abstractmethod
    def begin(self) -> tuple[SmartCard, SmartCard]:
        """Take the cards; return the chips of payer and payee."""

    @abstractmethod
    def run(self, hooks: Hooks) -> Transfer:
        """Try to move AMOUNT, with somebody between the terminal and each card."""

    @abstractmethod
    def again(self) -> None:
        """Try it once more, in peace, in another terminal; check what only this flow knows."""

    @abstractmethod
    def moved(self) -> int:
        """What has moved since ``begin``; fails unless money is conserved and nothing is unsettled."""


class TwoCards(Flow):
    """Between two people's cards; each run has fresh copies."""

    role = Role.PERSON

    def __init__(self, town: Town) -> None:
        super().__init__(town)
        self.first = (town.card(MONEY), town.card(role=self.role))
        self.copies = self.first

    def begin(self) -> tuple[SmartCard, SmartCard]:
        self.copies = (self.first[PAYER].copy(), self.first[PAYEE].copy())
        return self.copies[PAYER].chip, self.copies[PAYEE].chip

    def slots(self, hooks: Hooks = IN_PEACE) -> tuple[CardSlot, CardSlot]:
        payer, payee = self.copies
        return HookedSlot(payer.slot("left"), hooks[PAYER]), HookedSlot(payee.slot("right"), hooks[PAYEE])

    def moved(self) -> int:
        payer, payee = self.copies
        assert (payer.unsettled, payee.unsettled) == (0, 0)
        assert payer.balance + payee.balance == MONEY
        return payee.balance


class Remittance(TwoCards):
    """Fig. 2; before it is tried again, it is only finished, on copies of the cards."""

    def run(self, hooks: Hooks) -> Transfer:
        left, right = self.slots(hooks)
        return self.town.purse_terminal().remit(left, right, AMOUNT)

    def again(self) -> None:
        cut = self.copies
        self.copies = (cut[PAYER].copy(), cut[PAYEE].copy())
        left, right = self.slots()
        self.town.purse_terminal(self.elsewhere).resume(right, left)
        assert self.moved() in (0, AMOUNT)
        self.copies = cut
        left, right = self.slots()
        with suppress(FinishedBeforeError):
            self.town.purse_terminal(self.elsewhere).remit(left, right, AMOUNT)


class Sale(TwoCards):
    """Fig. 5; the POS starts again with the stores that it had: they agree with the merchant's card."""

    role = Role.MERCHANT
    number = 0

    def begin(self) -> tuple[SmartCard, SmartCard]:
        self.number += 1
        return super().begin()

    def run(self, hooks: Hooks) -> Transfer:
        sales = self.town.sales(f"sales {self.number}")
        try:
            return self.town.pos().sell(*self.slots(hooks), AMOUNT, sales)
        finally:
            sales.close()

    def again(self) -> None:
        with suppress(FinishedBeforeError):
            self.run(IN_PEACE)
        sales, merchant = self.town.sales(f"sales {self.number}"), self.copies[PAYEE]
        assert sales.amount(merchant.id) == merchant.balance == AMOUNT * sales.count(merchant.id)
        sales.close()


class StayingSlot(ModelSlot):
    """A slot whose chip stays the same from taking to taking, so that its power can be cut in any of its writes."""

    def close(self) -> None:
        assert self._card is not None
        self._card.power_off()


class FloatLine(LocalLine):
    """The real line, with somebody between the ATM and the float."""

    def __init__(self, town: Town, chip: CardFile, hook: Hook) -> None:
        super().__init__(town.center)
        self.slot = HookedSlot(WatchedSlot(town.center, StayingSlot("float", chip)), hook)

    def float_slot(self) -> CardSlot:
        return self.slot


class AtTheAtm(Flow):
    """Between a card and the float; both live on from run to run."""

    def __init__(self, town: Town) -> None:
        super().__init__(town)
        self.card = town.card(MONEY)
        self.start = MONEY
        self.float: CardFile | None = None

    def give_back(self) -> None:
        if self.float is not None:
            self.float.close()

    def take_float(self) -> CardFile:
        self.give_back()
        self.float = CardFile(self.town.center.folder / "float.card")
        return self.float

    def line(self, hook: Hook) -> FloatLine:
        assert self.float is not None
        return FloatLine(self.town, self.float, hook)

    def slot(self, hook: Hook) -> HookedSlot:
        return HookedSlot(self.card.slot("atm"), hook)

    def again(self) -> None:
        self.take_float()
        with suppress(FinishedBeforeError):
            self.run(IN_PEACE)

    def gained(self) -> int:
        """What the card has more than at the beginning."""
        slot = ModelSlot("float", self.take_float())
        session = PurseSession(slot.connect())
        assert session.selected.status.balance + self.card.balance == FLOAT
        assert (session.get_unsettled(), self.card.unsettled) == ([], 0)
        slot.close()
        return self.card.balance - self.start


class Load(AtTheAtm):
    """From the float to a card."""

    def begin(self) -> tuple[SmartCard, SmartCard]:
        self.start = self.card.balance
        return self.take_float(), self.card.chip

    def run(self, hooks: Hooks) -> Transfer:
        return self.town.atm().load(self.slot(hooks[PAYEE]), AMOUNT, self.line(hooks[PAYER]))

    def moved(self) -> int:
        return self.gained()


class Deposit(AtTheAtm):
    """From a card to the float; the card is filled up for each run."""

    def begin(self) -> tuple[SmartCard, SmartCard]:
        self.give_back()
        self.town.atm().load(self.card.slot("atm"), 2 * AMOUNT, self.town.line)
        self.start = self.card.balance
        return self.card.chip, self.take_float()

    def run(self, hooks: Hooks) -> Transfer:
        return self.town.atm().deposit(self.slot(hooks[PAYER]), AMOUNT, self.line(hooks[PAYEE]))

    def moved(self) -> int:
        return -self.gained()


FLOWS: dict[str, type[Flow]] = {"remittance": Remittance, "sale": Sale, "load": Load, "deposit": Deposit}
