"""A shop: a POS of the town with its sales stores, and a merchant's card."""

import pytest

from apdu.errors import ReaderError
from apdu.identity import Role
from center.line import LocalLine
from host.terminal.sales import Begun, Sale
from host.terminal.transfer import Transfer
from tests.host.terminal.faults import honest
from tests.host.terminal.town import Card, Hook, HookedSlot, Town

__all__ = ["CHECKED", "Shop"]

CHECKED = ["S301", "S302", "S303", "S304", "S305", "S306"]


class Shop:
    """A POS with a merchant's card in it."""

    def __init__(self, town: Town) -> None:
        self.town, self.merchant = town, town.card(role=Role.MERCHANT)
        self.sales = town.sales()

    def sell(self, customer: Card, amount: int, line: LocalLine | None = None) -> Transfer:
        return self.town.pos().sell(customer.slot("customer"), self.merchant.slot("till"), amount, self.sales, line)

    def cut(self, customer: Card, amount: int, payer: Hook = honest, till: Hook = honest) -> None:
        """Try to sell, with somebody between the POS and each card who pulls one of them out."""
        slots = HookedSlot(customer.slot("customer"), payer), HookedSlot(self.merchant.slot("till"), till)
        with pytest.raises(ReaderError):
            self.town.pos().sell(*slots, amount, self.sales)
        self.town.screen.steps.clear()

    @property
    def amount(self) -> int:
        return self.sales.amount(self.merchant.id)

    @property
    def history(self) -> list[Sale]:
        return list(self.sales.history(self.merchant.id))

    @property
    def begun(self) -> list[Begun]:
        return self.sales.begun(self.merchant.id)
