"""The credit check unit in a terminal, the variant of [0034]: it runs only on the center's command."""

from apdu.errors import AuthenticityError, RefusedError
from apdu.messages import CheckOrder, Signed
from apdu.objects import KeyUse
from host.session import PurseSession
from host.terminal.trust import Trust

__all__ = ["CreditCheckUnit"]


class CreditCheckUnit:
    """Judges a card's credit information under a signed order for this terminal, until it expires."""

    def __init__(self, terminal: int, order: Signed[CheckOrder], trust: Trust) -> None:
        """Check the order; raises AuthenticityError when it is forged or for another terminal."""
        self._points = {key.number: key.point for key in trust.keys if key.use is KeyUse.ORDERS}
        point = self._points.get(order.body.key)
        if point is None or order.body.terminal != terminal:
            raise AuthenticityError("the order is not for this terminal, or its key is not known")
        self._order = order.verify(point)

    def check(self, session: PurseSession, now: int) -> None:
        """Raise RefusedError unless the credit is the center's, this card's and in date."""
        if now > self._order.expiry:
            raise RefusedError("the center's order for the credit check unit has expired: ask for a new one")
        signed, used = session.get_credit()
        point = self._points.get(signed.body.key)
        if point is None:
            raise RefusedError(f"card {session.card}: the credit information is not the center's")
        credit = signed.verify(point)
        if credit.card != session.card or now > credit.expiry:
            raise RefusedError(f"card {session.card}: the credit information is out of date: renew it")
        if used.count >= credit.count or used.amount >= credit.amount:
            raise RefusedError(f"card {session.card}: the credit is used up: renew it")
