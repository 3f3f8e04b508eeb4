"""What counts as a sale of a POS, and how those end that were cut: booked once with their time, or dropped."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from apdu.commands import Ins
from apdu.errors import MisbehaviourError, RefusedError, StoreError
from apdu.identity import CardId, Role
from apdu.status import StatusError
from host.terminal.sales import SalesStore
from host.terminal.terminal import FinishedBeforeError
from tests.host.terminal.faults import Lost
from tests.host.terminal.shop import CHECKED, Shop
from tests.host.terminal.town import MONTH, Card, HookedSlot, Town
from tests.issuer import NOW


@pytest.fixture
def shop(town: Town) -> Shop:
    return Shop(town)


# --- what counts as a sale -----------------------------------------------------------------------------------


def test_two_sales_a_minute_apart_have_two_times(town: Town, shop: Shop) -> None:
    customer = town.card(1000)
    for amount in (250, 100):
        shop.sell(customer, amount)
        town.clock.now += 60
    assert [(sale.amount, sale.time) for sale in shop.history] == [(100, NOW + 60), (250, NOW)]


def test_what_else_comes_onto_the_merchants_card_is_no_sale(town: Town, shop: Shop) -> None:
    customer = town.card(1000)
    town.atm().load(shop.merchant.slot("atm"), 10_000, town.line)
    town.purse_terminal().remit(customer.slot("left"), shop.merchant.slot("right"), 200)
    town.pos().sell(customer.slot("customer"), shop.merchant.slot("till"), 30, town.sales("another POS"))
    shop.sell(customer, 100)
    assert (shop.merchant.balance, shop.amount) == (10_330, 100)
    assert town.screen.details["S312"] == "1.00 EUR in all"


def test_only_a_merchants_card_takes_the_money(town: Town, shop: Shop) -> None:
    customer = town.card(1000)
    shop.merchant = town.card()
    with pytest.raises(RefusedError, match="has the role person: a POS takes money with a card of the role merchant"):
        shop.sell(customer, 250)
    with pytest.raises(RefusedError, match="role merchant"):
        town.pos().open_till(shop.merchant.slot("till"), shop.sales)
    assert (customer.balance, shop.merchant.balance, shop.sales.merchants()) == (1000, 0, [])


def with_certificate_of(card: Card) -> Callable[[bytes, Callable[[bytes], bytes]], bytes]:
    """A card that shows another one's certificate."""

    def hook(command: bytes, real: Callable[[bytes], bytes]) -> bytes:
        return real(command) if command[:4] != b"\x00\xca\x01\x03" else card.slot("hidden").transmit(command)

    return hook


def test_the_certificate_of_another_card_makes_no_merchant(town: Town, shop: Shop) -> None:
    customer, person = town.card(1000), town.card()
    shop.merchant.look()
    till = HookedSlot(person.slot("till"), with_certificate_of(shop.merchant))
    with pytest.raises(MisbehaviourError, match=f"shows the certificate of card {shop.merchant.id}"):
        town.pos().sell(customer.slot("customer"), till, 250, shop.sales)
    assert customer.balance == 1000


def test_a_sale_that_cannot_be_written_down_is_not_made(town: Town, shop: Shop, tmp_path: Path) -> None:
    customer = town.card(1000)
    shop.sales = SalesStore(tmp_path / "sales.sqlite", patience=0)
    with closing(sqlite3.connect(tmp_path / "sales.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="cannot be used now"):
            shop.sell(customer, 250)
    assert (customer.balance, shop.merchant.balance) == (1000, 0)
    shop.sell(customer, 250)
    assert shop.amount == 250


# --- what was cut ------------------------------------------------------------------------------------------


def tear_payment(customer: Card, merchant: Card, amount: int) -> None:
    """Elsewhere the customer's card is pulled out right after PAY."""
    payer, payee = customer.look(), merchant.look()
    payer.pay(payee.request(amount, payer.card, NOW), NOW)


def test_the_same_sale_again_finishes_the_payment_and_pays_once(town: Town, shop: Shop) -> None:
    customer = town.card(1000)
    shop.cut(customer, 250, Lost(answered=True, ins=Ins.PAY))
    town.clock.now += 60
    assert shop.sell(customer, 250).settled
    assert town.screen.steps == [*CHECKED, "S312", "S313", "S313"]
    assert town.screen.says("a transfer of 2.50 EUR that was cut is finished")
    assert (customer.balance, customer.unsettled) == (750, 0)
    assert [(sale.amount, sale.time) for sale in shop.history] == [(250, NOW)]


def test_what_was_cut_elsewhere_is_finished_and_is_no_sale_of_this_pos(town: Town, shop: Shop) -> None:
    customer = town.card(1000)
    tear_payment(customer, shop.merchant, 250)
    with pytest.raises(FinishedBeforeError, match="begin again"):
        shop.sell(customer, 250)
    assert (customer.balance, customer.unsettled, shop.amount) == (750, 0, 0)
    shop.sell(customer, 250)
    assert (customer.balance, shop.amount) == (500, 250)


def test_another_sale_after_a_cut_one_pays_both(town: Town, shop: Shop) -> None:
    customer = town.card(1000)
    shop.cut(customer, 250, Lost(answered=True, ins=Ins.PAY))
    town.clock.now += 60
    shop.sell(customer, 100)
    assert (customer.balance, shop.amount) == (650, 350)
    assert [(sale.amount, sale.time) for sale in shop.history] == [(100, NOW + 60), (250, NOW)]
    assert town.screen.says("a sale of 2.50 EUR that was cut is booked")


def test_a_sale_whose_receipt_nobody_heard_is_booked_when_the_cards_meet(town: Town, shop: Shop) -> None:
    customer = town.card(1000)
    shop.cut(customer, 250, till=Lost(answered=True, ins=Ins.RECEIVE))
    assert shop.amount == 0
    town.clock.now += 60
    with pytest.raises(FinishedBeforeError, match="begin again"):
        shop.sell(customer, 250)
    assert (customer.balance, customer.unsettled) == (750, 0)
    assert [(sale.amount, sale.time) for sale in shop.history] == [(250, NOW)]


def test_a_sale_that_only_lacks_its_receipt_pays_for_nothing_more(town: Town, shop: Shop) -> None:
    customer = town.card(1000)
    slot = HookedSlot(customer.slot("customer"), Lost(answered=False, ins=Ins.SETTLE))
    done = town.pos().sell(slot, shop.merchant.slot("till"), 250, shop.sales)
    assert (done.credited, done.settled, shop.amount) == (True, False, 250)
    with pytest.raises(FinishedBeforeError, match="begin again"):
        shop.sell(customer, 250)
    assert (customer.balance, customer.unsettled, shop.amount) == (750, 0, 250)
    shop.sell(customer, 250)
    assert (customer.balance, customer.unsettled, shop.amount) == (500, 0, 500)


def test_a_sale_that_was_finished_elsewhere_is_booked_when_the_merchants_card_is_back(town: Town, shop: Shop) -> None:
    customer = town.card(1000)
    shop.cut(customer, 250, Lost(answered=True, ins=Ins.PAY))
    town.clock.now += 60
    town.purse_terminal().resume(customer.slot("left"), shop.merchant.slot("right"))
    for _ in range(2):
        town.pos().open_till(shop.merchant.slot("till"), shop.sales)
    assert [(sale.amount, sale.time) for sale in shop.history] == [(250, NOW)]


def test_while_a_request_is_open_nothing_is_decided(town: Town, shop: Shop) -> None:
    customer = town.card(1000)
    shop.cut(customer, 250, Lost(answered=True, ins=Ins.PAY))
    town.pos().open_till(shop.merchant.slot("till"), shop.sales)
    assert (shop.amount, [one.amount for one in shop.begun]) == (0, [250])
    shop.sell(customer, 100)
    assert (shop.amount, shop.begun) == (350, [])


def test_a_sale_that_is_refused_in_the_end_is_not_booked(town: Town, shop: Shop) -> None:
    customer, other = town.card(250), town.card(100)
    shop.cut(customer, 250, Lost(answered=True, ins=Ins.PAY))
    shop.sell(other, 100)
    shop.sell(customer, 200)
    assert town.screen.says("a transfer of 2.50 EUR that was cut is refused and paid back")
    assert (customer.balance, shop.amount, shop.begun) == (50, 300, [])


def test_a_sale_that_the_customers_card_declines_is_not_booked(town: Town, shop: Shop) -> None:
    customer = town.card(1000)
    town.pass_time(MONTH)
    town.atm().renew(shop.merchant.slot("atm"), town.line)
    with pytest.raises(StatusError, match="PAY"):
        shop.sell(customer, 250)
    for amount in (100, 50):
        shop.sell(customer, amount, town.line)
    assert (customer.balance, shop.amount, shop.begun) == (850, 150, [])


def test_money_that_the_shop_owes_is_paid_first(town: Town, shop: Shop) -> None:
    customer = town.card(1000)
    shop.sell(customer, 500)
    tear_payment(shop.merchant, customer, 300)
    shop.sell(customer, 800)
    assert (customer.balance, shop.merchant.balance, shop.merchant.unsettled) == (0, 1000, 0)
    assert shop.amount == 1300


def test_a_payment_older_than_the_merchants_history_waits_for_the_center(town: Town, shop: Shop) -> None:
    shop.merchant = town.card(role=Role.MERCHANT, history=8)
    customer, others = town.card(1000), town.card(1000)
    shop.cut(customer, 250, till=Lost(answered=True, ins=Ins.RECEIVE))
    elsewhere = town.sales("another POS")
    for _ in range(9):
        town.pos().sell(others.slot("customer"), shop.merchant.slot("till"), 10, elsewhere, town.line)
    shop.sell(customer, 100)
    assert (customer.balance, customer.unsettled, shop.amount) == (650, 250, 100)
    assert [(one.amount, one.in_doubt) for one in shop.begun] == [(250, True)]
    town.atm().renew(customer.slot("atm"), town.line)
    assert (customer.balance, customer.unsettled) == (650, 0)


def test_a_merchants_card_that_was_put_back_to_an_older_copy_is_not_believed(town: Town, shop: Shop) -> None:
    customer, before = town.card(1000), shop.merchant.copy()
    shop.cut(customer, 250, Lost(answered=True, ins=Ins.PAY))
    shop.merchant = before
    town.pos().open_till(shop.merchant.slot("till"), shop.sales)
    assert [one.in_doubt for one in shop.begun] == [False]
    shop.sell(town.card(250), 250)
    assert (shop.amount, [one.in_doubt for one in shop.begun]) == (250, [True])


class DeadPos(SalesStore):
    """A POS whose power fails right before it books the sale."""

    def book(self, merchant: CardId, request: int, counter: int) -> bool:
        raise SystemExit(f"no power; request {request} stands on card {merchant}, with counter {counter}")


def test_a_pos_that_dies_before_s312_books_the_sale_when_it_is_used_again(town: Town, tmp_path: Path) -> None:
    shop, customer = Shop(town), town.card(1000)
    shop.sales = DeadPos(tmp_path / "dead.sqlite")
    with pytest.raises(SystemExit):
        shop.sell(customer, 250)
    shop.sales.close()
    shop.sales, town.clock.now = SalesStore(tmp_path / "dead.sqlite"), NOW + 60
    assert shop.amount == 0
    for _ in range(2):
        town.pos().open_till(shop.merchant.slot("till"), shop.sales)
    assert [(sale.amount, sale.time) for sale in shop.history] == [(250, NOW)]


class BusyOnce(SalesStore):
    """Stores in which another program writes when a sale is to be booked, the first time."""

    busy = True

    def book(self, merchant: CardId, request: int, counter: int) -> bool:
        if self.busy:
            self.busy = False
            raise StoreError("the sales stores cannot be used now")
        return super().book(merchant, request, counter)


def test_a_paid_sale_is_no_failure_when_it_cannot_be_booked(town: Town, shop: Shop, tmp_path: Path) -> None:
    """The customer has paid, and is not asked to pay again."""
    customer = town.card(1000)
    shop.sales = BusyOnce(tmp_path / "busy.sqlite")
    assert shop.sell(customer, 250).settled
    assert town.screen.says("paid, but not booked yet")
    assert shop.amount == 0
    shop.sell(customer, 100)
    assert (customer.balance, shop.amount) == (650, 350)


def test_a_merchants_card_that_cannot_be_asked_is_asked_again(town: Town, shop: Shop) -> None:
    customer = town.card(1000)
    shop.cut(customer, 250, till=Lost(answered=True, ins=Ins.RECEIVE))
    till = HookedSlot(shop.merchant.slot("till"), Lost(answered=False, ins=Ins.READ_RECORD))
    town.pos().open_till(till, shop.sales)
    assert town.screen.says("is asked at the next sale")
    town.pos().open_till(shop.merchant.slot("till"), shop.sales)
    assert shop.amount == 250


def test_a_merchants_card_that_lies_about_its_records_books_nothing(town: Town, shop: Shop) -> None:
    customer = town.card(1000)
    shop.sell(customer, 10)
    shop.cut(customer, 250, till=Lost(answered=True, ins=Ins.RECEIVE))

    def old_record(command: bytes, card: Callable[[bytes], bytes]) -> bytes:
        return card(command if command[1] != Ins.READ_RECORD else command[:2] + b"\x02" + command[3:])

    town.pos().open_till(HookedSlot(shop.merchant.slot("till"), old_record), shop.sales)
    assert town.screen.says("its records do not go on from record 3")
    assert (shop.amount, len(shop.begun)) == (10, 1)
