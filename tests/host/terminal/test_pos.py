"""The POS: fig. 5 step by step, sales stores, and credit that is renewed on the way."""

from collections.abc import Callable
from pathlib import Path

import pytest

from apdu.commands import Ins
from apdu.errors import RefusedError
from apdu.identity import LifeCycle, Role
from apdu.messages import CheckOrder
from apdu.status import StatusError, StatusWord
from center.editions import report_stolen
from center.line import check_order
from center.settings import CreditTerms
from host.terminal.credit_check import CreditCheckUnit
from host.terminal.pos import InsufficientMoneyError
from host.terminal.terminal import ListedCardError
from tests.host.terminal.lies import instead
from tests.host.terminal.shop import CHECKED, Shop
from tests.host.terminal.town import MONTH, HookedSlot, Keypad, Town
from tests.issuer import NOW, PIN

SOLD = [*CHECKED, "S307", "S309", "S310", "S312", "S313", "S313"]


@pytest.fixture
def shop(town: Town) -> Shop:
    return Shop(town)


# --- fig. 5 ------------------------------------------------------------------------------------------------


def test_a_sale_in_the_patents_order(town: Town, shop: Shop) -> None:
    customer = town.card(1000)
    done = shop.sell(customer, 250)
    assert done.settled
    assert town.screen.steps == SOLD
    assert (customer.balance, shop.merchant.balance, shop.amount) == (750, 250, 250)


def test_the_display_shows_amount_balance_and_takings(town: Town, shop: Shop) -> None:
    customer = town.card(1000)
    shop.sell(customer, 250)
    shop.sell(customer, 100)
    shown = [town.screen.details[step] for step in ("S302", "S304", "S307", "S310", "S312")]
    assert shown == ["1.00 EUR", customer.id.text, "7.50 EUR", "1.00 EUR", "3.50 EUR in all"]


def test_sales_amount_and_sales_history(town: Town, shop: Shop) -> None:
    first, second = town.card(1000), town.card(1000)
    shop.sell(first, 250)
    shop.sell(second, 100)
    history = [(sale.request, sale.customer, sale.counter, sale.amount) for sale in shop.history]
    assert history == [(2, second.id, 1, 100), (1, first.id, 1, 250)]
    assert shop.sales.merchants() == [shop.merchant.id]


def test_the_customers_card_sees_three_commands(town: Town, shop: Shop) -> None:
    customer = town.card(1000)
    shop.sell(customer, 100)
    seen: list[int] = []

    def overhear(command: bytes, card: Callable[[bytes], bytes]) -> bytes:
        seen.append(command[1])
        return card(command)

    slot = HookedSlot(customer.slot("customer"), overhear)
    town.pos().sell(slot, shop.merchant.slot("till"), 100, shop.sales)
    assert seen == [Ins.SELECT, Ins.PAY, Ins.SETTLE]


def test_too_little_money_is_said_and_nothing_moves(town: Town, shop: Shop) -> None:
    customer = town.card(100)
    with pytest.raises(InsufficientMoneyError):
        shop.sell(customer, 101)
    assert town.screen.steps == [*CHECKED, "S307", "S309", "S311", "S313", "S313"]
    assert town.screen.details["S311"] == "1.00 EUR on the card, 1.01 EUR to pay"
    assert (customer.balance, shop.merchant.balance, shop.amount) == (100, 0, 0)


def test_the_last_cent_can_be_spent(town: Town, shop: Shop) -> None:
    customer = town.card(100)
    shop.sell(customer, 100)
    assert customer.balance == 0


def test_a_listed_customer_is_locked_out(town: Town, shop: Shop) -> None:
    customer = town.card(1000)
    report_stolen(town.center, customer.id)
    town.publish()
    with pytest.raises(ListedCardError):
        shop.sell(customer, 250)
    assert town.screen.steps == [*CHECKED, "S308", "S313", "S313"]
    assert (customer.state, customer.balance, shop.amount) == (LifeCycle.LOCKED_OUT, 1000, 0)


def test_a_listed_merchant_sells_nothing(town: Town, shop: Shop) -> None:
    customer = town.card(1000)
    report_stolen(town.center, shop.merchant.id)
    town.publish()
    with pytest.raises(ListedCardError):
        shop.sell(customer, 250)
    assert (shop.merchant.state, customer.state) == (LifeCycle.LOCKED_OUT, LifeCycle.ACTIVE)
    assert customer.balance == 1000


def test_a_large_amount_wants_the_pin(town: Town, shop: Shop) -> None:
    customer = town.card(9000)
    town.keypad = Keypad(PIN)
    shop.sell(customer, 6000)
    assert town.keypad.asked == [f"60.00 EUR from {customer.id}"]
    assert shop.amount == 6000


def test_the_head_is_carried_to_the_customer(town: Town, shop: Shop) -> None:
    customer = town.card(1000)
    edition = town.publish()
    shop.sell(customer, 100)
    assert customer.look().get_head() == edition.head


# --- credit on the way [0030], the check unit [0034] ---------------------------------------------------------


def test_offline_a_card_without_credit_does_not_pay(town: Town, shop: Shop) -> None:
    customer = town.card(1000)
    town.pass_time(MONTH)
    town.atm().renew(shop.merchant.slot("atm"), town.line)
    with pytest.raises(StatusError) as declined:
        shop.sell(customer, 250)
    assert (declined.value.command, declined.value.sw) == ("PAY", StatusWord.CREDIT_EXPIRED)
    assert (customer.balance, shop.amount) == (1000, 0)


def test_online_expired_credit_is_renewed_on_the_way(town: Town, shop: Shop) -> None:
    customer = town.card(1000)
    town.pass_time(MONTH)
    shop.sell(customer, 250, town.line)
    assert customer.look().get_credit()[0].body.serial == 2
    assert shop.merchant.look().get_credit()[0].body.serial == 2
    assert (customer.balance, shop.amount) == (750, 250)


@pytest.mark.parametrize(("sw", "serial"), [(StatusWord.CREDIT_EXPIRED, 2), (StatusWord.INSUFFICIENT_MONEY, 1)])
def test_online_a_card_is_renewed_once_and_only_for_its_credit(
    town: Town, shop: Shop, sw: StatusWord, serial: int
) -> None:
    customer = town.card(1000)
    slot = HookedSlot(customer.slot("customer"), instead(Ins.PAY, sw.to_bytes(2)))
    with pytest.raises(StatusError) as declined:
        town.pos().sell(slot, shop.merchant.slot("till"), 250, shop.sales, town.line)
    assert (declined.value.command, declined.value.sw) == ("PAY", sw)
    assert customer.look().get_credit()[0].body.serial == serial
    assert (customer.balance, shop.amount) == (1000, 0)


def test_online_used_up_credit_is_renewed_on_the_way(tmp_path: Path) -> None:
    town = Town(tmp_path, credit=CreditTerms(30, 2, 500_000))
    shop, customer = Shop(town), town.card(1000)
    for _ in range(2):
        shop.sell(customer, 100)
    with pytest.raises(StatusError) as declined:
        shop.sell(customer, 100)
    assert declined.value.sw == StatusWord.CREDIT_LIMIT
    shop.sell(customer, 100, town.line)
    assert shop.amount == 300
    town.close()


def test_online_a_full_history_is_uploaded_on_the_way(town: Town, shop: Shop) -> None:
    shop.merchant = town.card(role=Role.MERCHANT, history=8)
    customer = town.card(1000, history=8)
    for _ in range(6):
        shop.sell(customer, 10)
    with pytest.raises(StatusError) as declined:
        shop.sell(customer, 10)
    assert declined.value.sw == StatusWord.HISTORY_FULL
    for _ in range(20):
        shop.sell(customer, 10, town.line)
    assert shop.amount == 1000 - customer.balance == shop.merchant.balance


def test_a_stolen_card_is_not_renewed_though_the_list_has_not_come_yet(town: Town, shop: Shop) -> None:
    customer = town.card(1000)
    town.pass_time(MONTH)
    report_stolen(town.center, customer.id)
    with pytest.raises(RefusedError, match="is listed: its credit information is not renewed"):
        shop.sell(customer, 250, town.line)
    assert customer.look().get_credit()[0].body.serial == 1
    assert (customer.balance, shop.merchant.balance, shop.amount) == (1000, 0, 0)


def test_the_check_unit_judges_before_the_money_moves(town: Town, shop: Shop) -> None:
    customer = town.card(1000)
    unit = CreditCheckUnit(7, check_order(town.center, 7, NOW + 2 * MONTH), town.center.trust)
    pos, till = town.pos(unit=unit), shop.merchant
    pos.sell(customer.slot("customer"), till.slot("till"), 100, shop.sales)
    town.pass_time(MONTH)
    with pytest.raises(RefusedError, match="out of date"):
        pos.sell(customer.slot("customer"), till.slot("till"), 100, shop.sales)
    assert (customer.balance, shop.amount) == (900, 100)


def test_the_check_unit_stops_when_its_order_ends(town: Town, shop: Shop) -> None:
    customer = town.card(1000)
    signed = check_order(town.center, 7, NOW)
    assert signed.body == CheckOrder(signed.body.key, 7, NOW)
    pos = town.pos(unit=CreditCheckUnit(7, signed, town.center.trust))
    pos.sell(customer.slot("customer"), shop.merchant.slot("till"), 100, shop.sales)
    town.clock.now += 1
    with pytest.raises(RefusedError, match="order for the credit check unit has expired"):
        pos.sell(customer.slot("customer"), shop.merchant.slot("till"), 100, shop.sales)
    assert shop.amount == 100
