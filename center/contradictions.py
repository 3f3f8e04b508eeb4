"""Whether what is known of one transfer agrees: both sides' records, attested states, decisions and resolutions.

Theory of operation. A transfer is one counter of one payer. All that can be known of it is brought together in a
``Transfer``, and ``contradictions`` says what does not agree in it. It is judged anew whenever something of it comes
in, and what was found once is kept. Which side comes in first must make no difference, so:

1. Each kind is a statement about two or more things that are known, and stays true whatever else comes in: what one
   card tells comes in its own order always (see ``center.history_rules``), and nothing that another card tells later
   takes a contradiction back. So what was found in the end is the same for every order of the cards.
2. Of a card that has told nothing yet, nothing is concluded. That something is missing counts only where the whole
   history is known up to an attested state after which it cannot come any more: a payment, when the payer's counter
   has gone past it; a receipt, when the payee's request is closed, for which nothing is credited afterwards.
3. Honest cards contradict each other in nothing. A counter is in one value, of one request and one amount; the payee
   has it in its history before it signs a receipt; it signs a refusal only for what it can never credit; and a payer
   forgets a transfer only for a receipt, a refusal or a resolution. A resolution of the center's own finding rests on
   the payee's history (see ``center.resolution``).
4. So a contradiction shows a card that is copied or broken, or a decision that was wrong. A wrong decision explains
   what follows from it: money that was paid back on its word, and was received all the same, is one case and not two.

Who is to blame is not said here. A record is the word of the card that has it, and a broken card can frame an honest
one; the evidence goes to people, and no card is refused anything for it.
"""

from dataclasses import dataclass
from enum import StrEnum

from apdu.messages import Outcome
from apdu.objects import Kind

__all__ = ["Contradiction", "Told", "Transfer", "contradictions"]


class Contradiction(StrEnum):
    """What does not agree in a transfer."""

    TWO_VALUES = "two-values"
    """The records tell of two payees or two requests under one counter: the payer has signed two values."""
    AMOUNTS_DIFFER = "amounts-differ"
    """The records of one value tell of different amounts."""
    NEVER_PAID = "never-paid"
    """It was received, and the payer's history has gone past its counter without such a payment: made-up value."""
    REFUNDED_AND_RECEIVED = "refunded-and-received"
    """The payer has the money back, the payee has it too, and the center has not said that it may come back."""
    SETTLED_NOT_RECEIVED = "settled-not-received"
    """The payer waits for it no more, and the payee can never receive it: the money is nowhere."""
    DECISION = "decision-contradicted"
    """An operator has decided one thing, and the cards say the other."""
    RESOLUTION = "resolution-contradicted"
    """The center has found one thing and signed it, and the cards say the other."""


@dataclass(frozen=True, slots=True)
class Told:
    """What one history record tells of a transfer; cards by serial, the amount in minor units."""

    kind: Kind
    payee: int
    request: int
    amount: int

    @property
    def value(self) -> tuple[int, int]:
        """Which value it is: payee and request."""
        return self.payee, self.request


@dataclass(frozen=True, slots=True)
class Transfer:
    """What is known of one counter of one payer."""

    records: frozenset[Told] = frozenset()
    passed: bool = False
    """The payer's whole history is known, up to an attested state with this counter or a higher one."""
    waiting: bool = False
    """In that state the payer waited for the end of this transfer."""
    closed: bool = False
    """The whole history of the payee that was paid is known, up to an attested state with the request closed."""
    decided: Outcome | None = None
    resolved: Outcome | None = None

    def of(self, kind: Kind) -> frozenset[Told]:
        """The records of one kind."""
        return frozenset(told for told in self.records if told.kind is kind)

    def both(self, one: Kind, other: Kind) -> bool:
        """Whether records of two kinds tell of the same value."""
        values = ({told.value for told in self.of(kind)} for kind in (one, other))
        return not next(values).isdisjoint(next(values))

    @property
    def received(self) -> bool:
        """Whether the value that was paid was received."""
        return self.both(Kind.PAID, Kind.RECEIVED)

    @property
    def refunded(self) -> bool:
        """Whether the payer has told that the money came back."""
        return bool(self.of(Kind.REFUNDED))

    @property
    def never(self) -> bool:
        """Whether the payee that was paid can never receive it."""
        return self.closed and not self.received


def contradictions(transfer: Transfer) -> frozenset[Contradiction]:
    """What does not agree in a transfer; empty for every transfer of honest cards."""
    values = {told.value for told in transfer.records}
    amounts = {(told.value, told.amount) for told in transfer.records}
    said = (transfer.decided, transfer.resolved)
    found = {
        Contradiction.TWO_VALUES: len(values) > 1,
        Contradiction.AMOUNTS_DIFFER: len(amounts) > len(values),
        Contradiction.NEVER_PAID: (transfer.passed and bool(transfer.of(Kind.RECEIVED)) and not transfer.of(Kind.PAID)),
        Contradiction.REFUNDED_AND_RECEIVED: (
            transfer.both(Kind.REFUNDED, Kind.RECEIVED) and Outcome.NEVER_RECEIVED not in said
        ),
        Contradiction.SETTLED_NOT_RECEIVED: (transfer.never and _forgotten(transfer) and Outcome.RECEIVED not in said),
        Contradiction.DECISION: _wrong_decision(transfer),
        Contradiction.RESOLUTION: transfer.resolved is not transfer.decided and _wrong_resolution(transfer),
    }
    return frozenset(kind for kind, holds in found.items() if holds)


def _forgotten(transfer: Transfer) -> bool:
    """Whether the payer waits for a payment no more, and has not got it back."""
    return bool(transfer.of(Kind.PAID)) and transfer.passed and not transfer.waiting and not transfer.refunded


def _wrong_decision(transfer: Transfer) -> bool:
    if transfer.decided is Outcome.NEVER_RECEIVED:
        return transfer.received
    return transfer.decided is Outcome.RECEIVED and (transfer.refunded or transfer.never)


def _wrong_resolution(transfer: Transfer) -> bool:
    """What was signed as received rests on the payee's record, so only a loss at the center leaves that without it."""
    if transfer.resolved is Outcome.NEVER_RECEIVED:
        return transfer.received
    return transfer.resolved is Outcome.RECEIVED and not transfer.received and (transfer.refunded or transfer.never)
