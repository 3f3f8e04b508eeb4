"""Contradictions that somebody with broken cards, or a wrong decision, brings about; with the kind that each is."""

from collections.abc import Callable

from apdu.messages import Outcome
from center.center import Center
from center.contradictions import Contradiction
from center.resolution import decide
from tests.center.broken import broken_card

__all__ = ["PLANTS", "Plant", "another_amount", "two_payees", "wrong_decision_for_the_payer"]


class Plant:
    """A payer and two payees of whom any may be broken; payments of counter 2 are the ones that do not agree."""

    def __init__(self, center: Center) -> None:
        self.center = center
        self.payer, self.payee, self.third = (broken_card(center) for _ in range(3))
        self.payer.pay(self.payee, 1)
        self.payee.receive(self.payer, 1)

    def go_on(self) -> None:
        """What comes after it is in order."""
        self.payer.pay(self.payee, 3, request=9)
        self.payee.receive(self.payer, 3, request=9)


def two_payees(plant: Plant) -> None:
    plant.payer.pay(plant.payee, 2, request=2)
    plant.payee.receive(plant.payer, 2, request=2)
    plant.third.receive(plant.payer, 2)


def two_payments_to_one_payee(plant: Plant) -> None:
    plant.payer.pay(plant.payee, 2, request=2)
    plant.payee.receive(plant.payer, 2, request=2)
    plant.payee.receive(plant.payer, 2, request=3)


def another_payee(plant: Plant) -> None:
    plant.payer.pay(plant.payee, 2, request=2)
    plant.payer.waiting = (2,)
    plant.third.receive(plant.payer, 2)


def another_request(plant: Plant) -> None:
    plant.payer.pay(plant.payee, 2, request=2)
    plant.payee.receive(plant.payer, 2, request=3)
    plant.payer.waiting = (2,)


def another_amount(plant: Plant) -> None:
    plant.payer.pay(plant.payee, 2, request=2, amount=10)
    plant.payee.receive(plant.payer, 2, request=2, amount=1000)


def made_up_value(plant: Plant) -> None:
    plant.third.receive(plant.payer, 2)


def refund_of_what_was_received(plant: Plant) -> None:
    plant.payer.pay(plant.payee, 2, request=2)
    plant.payer.refund(plant.payee, 2, request=2)
    plant.payee.receive(plant.payer, 2, request=2)


def receipt_for_nothing(plant: Plant) -> None:
    plant.payer.pay(plant.payee, 2, request=2)


def wrong_decision_for_the_payer(plant: Plant) -> None:
    plant.payer.pay(plant.payee, 2, request=2)
    plant.payer.waiting = (2,)
    plant.payer.renew()
    decide(plant.center, plant.payer.id, 2, Outcome.NEVER_RECEIVED, "the card is lost")
    plant.payer.renew()
    assert [signed.body.outcome for signed in plant.payer.resolutions] == [Outcome.NEVER_RECEIVED]
    plant.payer.refund(plant.payee, 2, request=2)
    plant.payer.waiting = ()
    plant.payee.receive(plant.payer, 2, request=2)


def wrong_decision_for_the_payee(plant: Plant) -> None:
    plant.payer.pay(plant.payee, 2, request=2)
    plant.payer.waiting = (2,)
    plant.payer.renew()
    decide(plant.center, plant.payer.id, 2, Outcome.RECEIVED, "the card is lost")
    plant.payer.renew()
    plant.payer.waiting = ()


def received_after_it_could_not_be(plant: Plant) -> None:
    """The payee has attested that it has not come so far, after the payment; then it takes the value all the same."""
    plant.payer.pay(plant.payee, 2, request=5)
    plant.payer.waiting = (2,)
    plant.payer.renew()
    plant.payee.renew()
    plant.payer.renew()
    assert [signed.body.outcome for signed in plant.payer.resolutions] == [Outcome.NEVER_RECEIVED]
    plant.payer.refund(plant.payee, 2, request=5)
    plant.payer.waiting = ()
    plant.payee.receive(plant.payer, 2, request=5)


PLANTS: dict[Callable[[Plant], None], Contradiction] = {
    two_payees: Contradiction.TWO_VALUES,
    two_payments_to_one_payee: Contradiction.TWO_VALUES,
    another_payee: Contradiction.TWO_VALUES,
    another_request: Contradiction.TWO_VALUES,
    another_amount: Contradiction.AMOUNTS_DIFFER,
    made_up_value: Contradiction.NEVER_PAID,
    refund_of_what_was_received: Contradiction.REFUNDED_AND_RECEIVED,
    receipt_for_nothing: Contradiction.SETTLED_NOT_RECEIVED,
    wrong_decision_for_the_payer: Contradiction.DECISION,
    wrong_decision_for_the_payee: Contradiction.DECISION,
    received_after_it_could_not_be: Contradiction.RESOLUTION,
}
