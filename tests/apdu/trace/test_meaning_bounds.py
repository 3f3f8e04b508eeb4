"""What is told where a PIN sum or an expiry stops a card, and of dates that come with SETTLE."""

import pytest

from apdu.messages import Signed, TerminateOrder
from apdu.status import StatusError
from apdu.trace.reading import Reading
from host.model import ModelSlot
from tests.apdu.trace.taped import Tape, pay, readings, unexpected
from tests.issuer import NOW, Issuer

ISSUER = Issuer()


class Pair:
    """A float and a person, selected, whose exchanges are taped; the person's parameters and counters are read."""

    def __init__(self, person: ModelSlot | None = None) -> None:
        self.tape = Tape()
        self.source = self.tape.put(ISSUER.purse(1, initial=10_000), "left").session()
        self.person = self.tape.put(person or ISSUER.purse(2), "right").session()
        self.person.get_parameters()
        self.person.get_counters()

    @property
    def last(self) -> Reading:
        return readings(self.tape.items)[len(self.tape.items) - 1]


def test_a_pin_that_a_sum_wants_is_told_with_what_was_paid_without_it() -> None:
    pair = Pair(ISSUER.purse(2, pin_above=300, pin_sum=500))
    pay(pair.source, pair.person, 900)
    pay(pair.person, pair.source, 300)
    asked = pair.source.request(201, pair.person.card, NOW)
    with pytest.raises(StatusError, match="6982"):
        pair.person.pay(asked, NOW)
    told = "the PIN is wanted for 2.01 EUR: 3.00 EUR were paid without it, 5.00 EUR may be in all"
    assert pair.last.outcome.endswith(f"({told})")


def test_an_order_that_is_out_of_date_is_told_with_both_dates() -> None:
    pair = Pair()
    order = Signed.make(TerminateOrder(2, pair.person.card, NOW - 60), ISSUER.orders)
    with pytest.raises(StatusError, match="9513"):
        pair.person.terminate(order, NOW)
    assert pair.last.outcome.endswith("(good until 2027-01-15 07:59 UTC, it is 2027-01-15 08:00 UTC)")


def test_a_refund_with_a_date_is_told_as_one_without() -> None:
    pair = Pair()
    value = pair.source.pay(pair.person.request(500, pair.source.card, NOW), NOW)
    pair.person.request(600, pair.source.card, NOW)
    pair.source.settle(pair.person.receive(value, NOW), NOW + 5)
    assert pair.last.what.startswith("refusal for counter 1")
    assert pair.last.outcome == "9000: 5.00 EUR back"
    assert unexpected(pair.tape.items) == []
