"""The line (26) in process: the center as ATMs and POS terminals reach it."""

from apdu.identity import CardId
from apdu.messages import CheckOrder, Signed, TerminateOrder, UnlockOrder
from apdu.objects import HistoryRecord
from center.center import Center
from center.editions import unlock_order
from center.float_purse import open_float
from center.keys import ORDERS_KEY
from center.renewal import begin_renewal, renew, terminate_order
from host.connection import CardSlot
from host.session import Attested
from host.terminal.line import Renewal, RenewalChallenge, Shown

__all__ = ["LocalLine", "check_order"]


class LocalLine:
    """A CenterLine to a center in this process."""

    def __init__(self, center: Center) -> None:
        """Join a center."""
        self._center = center

    def begin_renewal(self, shown: Shown) -> RenewalChallenge:
        """Ask for a challenge."""
        return begin_renewal(self._center, shown)

    def renew(self, attested: Attested, records: list[HistoryRecord]) -> Renewal:
        """Hand in state and history, get credit."""
        return renew(self._center, attested, records)

    def unlock_order(self, card: CardId) -> Signed[UnlockOrder]:
        """The order for a card that was found."""
        return unlock_order(self._center, card)

    def terminate_order(self, attested: Attested, records: list[HistoryRecord]) -> Signed[TerminateOrder]:
        """Hand in state and history of an empty card, get the order that ends its life."""
        return terminate_order(self._center, attested, records)

    def float_slot(self) -> CardSlot:
        """The slot with the float."""
        return open_float(self._center, self)


def check_order(center: Center, terminal: int, expiry: int) -> Signed[CheckOrder]:
    """The order that lets a terminal's credit check unit run until ``expiry`` [0034]."""
    with center.ordered() as session:
        return center.sign(session, CheckOrder(ORDERS_KEY, terminal, expiry))
