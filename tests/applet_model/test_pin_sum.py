"""The PIN bounds a sum: whatever a terminal does with a card, without the PIN it takes no more than that from it."""

from hypothesis import given
from hypothesis import strategies as st

from apdu.objects import NO_PIN_SUM
from apdu.status import StatusWord
from tests.applet_model.purses import ISSUER, Purse, new_purse, refusal_of
from tests.issuer import NOW, PIN

W = StatusWord
ABOVE, SUM = 2_000, 5_000
MONEY = 30_000


def victim(pin_above: int = ABOVE, pin_sum: int = SUM) -> Purse:
    return new_purse(1, initial=MONEY, pin_above=pin_above, pin_sum=pin_sum, balance_max=100_000, transfer_max=50_000)


def without_pin(purse: Purse) -> int:
    return purse.session().get_counters().without_pin


def test_a_rogue_terminal_that_cuts_the_money_into_slices_takes_no_more_than_the_sum() -> None:
    purse, rogue = victim(), new_purse(2)
    while left := SUM - without_pin(purse):
        paid = purse.pay(rogue.ask(purse, min(ABOVE, left)))
        purse.session().settle(rogue.receive(paid))
    assert refusal_of(purse.pay, rogue.ask(purse, 1)) is W.SECURITY_STATUS
    assert (purse.balance, rogue.balance) == (MONEY - SUM, SUM)


def test_a_payment_with_the_pin_begins_the_sum_anew_and_uses_the_pin_up() -> None:
    purse, other = victim(), new_purse(2)
    purse.pay(other.ask(purse, ABOVE))
    session = purse.session()
    session.verify(PIN)
    session.pay(other.ask(purse, 1), NOW)
    assert (session.get_reference_data().verified, session.get_counters().without_pin) == (0, 0)
    assert refusal_of(session.pay, other.ask(purse, ABOVE + 1), NOW) is W.SECURITY_STATUS


def test_a_payment_that_is_declined_leaves_the_pin_verified() -> None:
    purse, other = victim(), new_purse(2)
    session = purse.session()
    session.verify(PIN)
    assert refusal_of(session.pay, other.ask(purse, MONEY + 1), NOW) is W.INSUFFICIENT_MONEY
    assert session.get_reference_data().verified == 1
    session.pay(other.ask(purse, ABOVE + 1), NOW)


def test_nothing_but_a_payment_with_the_pin_lowers_the_sum() -> None:
    purse, other = victim(), new_purse(2)
    asked = other.ask(purse, ABOVE)
    paid = purse.pay(asked)
    other.ask(purse)
    session = purse.session()
    session.settle(other.receive(paid), NOW)
    session.put_credit(ISSUER.credit(1, 2, seen=2))
    session.verify(PIN)
    session.change_reference_data(PIN, PIN)
    assert (purse.balance, without_pin(purse)) == (MONEY, ABOVE)


def test_a_sum_beyond_four_bytes_is_not_cut() -> None:
    purse, other = victim(pin_above=NO_PIN_SUM, pin_sum=NO_PIN_SUM - 1), new_purse(2)
    purse.put("without_pin", NO_PIN_SUM - 1)
    assert refusal_of(purse.pay, other.ask(purse, 2)) is W.SECURITY_STATUS


def test_a_purse_without_a_bound_pays_on_and_tells_the_most_that_can_be_told() -> None:
    """The float: its PIN is known to nobody."""
    purse, other = victim(pin_sum=NO_PIN_SUM), new_purse(2)
    purse.put("without_pin", NO_PIN_SUM - 1)
    for _ in range(2):
        purse.session().settle(other.receive(purse.pay(other.ask(purse, 2))))
    assert without_pin(purse) == NO_PIN_SUM


HOW = st.sampled_from(("pay", "pay with PIN", "pay and refund"))
STEPS = st.lists(st.tuples(st.integers(1, 3_000), HOW), max_size=9)


@given(STEPS)
def test_between_two_payments_with_the_pin_no_more_is_paid_than_the_sum(steps: list[tuple[int, str]]) -> None:
    purse, other, paid = victim(), new_purse(2, balance_max=1_000_000), 0
    for amount, how in steps:
        asked, session = other.ask(purse, amount), purse.session()
        if how == "pay with PIN":
            session.verify(PIN)
        allowed = how == "pay with PIN" or (amount <= ABOVE and paid + amount <= SUM)
        if not allowed:
            assert refusal_of(session.pay, asked, NOW) is W.SECURITY_STATUS
            continue
        value = session.pay(asked, NOW)
        paid = 0 if how == "pay with PIN" else paid + amount
        if how == "pay and refund":
            other.ask(purse)
        session.settle(other.receive(value), NOW)
        assert without_pin(purse) == paid
