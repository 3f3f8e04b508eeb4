"""A card to do business with, of which the key is known: it signs what no card of the model would."""

import secrets

from apdu.identity import CardId, Role
from apdu.messages import BodyT, Receipt, Refusal, Signed, Value
from apdu.objects import Request
from apdu.signature import point_of, private_key
from host.session import Answer, Paid, Requested
from saifu.conformance.issuer import EUR, FAR, Issuer

__all__ = ["Partner"]


class Partner:
    """Another card of the issuer's, honest until told otherwise; its money is without end."""

    def __init__(self, issuer: Issuer, serial: int, role: Role = Role.PERSON, expiry: int = FAR) -> None:
        """A new key pair, certified until ``expiry``."""
        self.key = private_key(secrets.token_bytes(40))
        self.certificate = issuer.certificate(serial, point_of(self.key), role, expiry)
        self._counter = 0

    @property
    def card(self) -> CardId:
        """Its ID."""
        return self.certificate.body.subject

    def asks(self, amount: int, number: int = 1, currency: int = EUR) -> Requested:
        """A request that it may have opened, with a fresh nonce."""
        return Requested(self.certificate, Request(number, secrets.token_bytes(8), amount, currency))

    def pays(self, requested: Requested) -> Paid:
        """A value for a request, with its next counter."""
        self._counter += 1
        wanted, payee = requested.request, requested.certificate.body.subject
        value = Value(
            self.card, self._counter, payee, wanted.number, wanted.nonce, wanted.amount, wanted.currency
        )  # fmt: skip
        return self.gives(value)

    def gives(self, value: Value) -> Paid:
        """Any value, rightly signed."""
        return Paid(self.certificate, self.signs(value))

    def answers(self, paid: Paid, kind: type[Receipt | Refusal] = Receipt, payee: CardId | None = None) -> Answer:
        """Its receipt or refusal of a value; ``payee`` names another card than itself."""
        value, named = paid.value.body, payee or self.card
        if kind is Receipt:
            return self.signs(Receipt(value.payer, value.counter, named))
        return self.signs(Refusal(value.payer, value.counter, named))

    def signs(self, body: BodyT) -> Signed[BodyT]:
        """Anything, signed with its key."""
        return Signed.make(body, self.key)
