"""Sales amount (32) and sales history (33): they follow the merchant's card, and count nothing twice."""

import os
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Engine, event

from apdu.errors import MisbehaviourError, StoreError
from apdu.identity import Role
from apdu.objects import Counters, HistoryRecord
from host.model import ModelSlot
from host.session import PurseSession
from host.terminal.sales import SalesStore
from tests.issuer import Issuer, balance, transfer

ISSUER = Issuer()


class Shop:
    """A merchant's card with a customer's, and the stores of one POS."""

    def __init__(self, folder: Path, history: int = 64) -> None:
        self.customer = ISSUER.purse(1, initial=10_000)
        self.merchant = ISSUER.purse(2, Role.MERCHANT, history=history)
        self.id = ISSUER.id(2)
        self.path = folder / "sales.sqlite"
        self.store = SalesStore(self.path)

    def sell(self, *amounts: int) -> None:
        for amount in amounts:
            transfer(self.customer, self.merchant, amount)

    def update(self) -> int:
        return self.store.update(PurseSession(self.merchant))


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def test_nothing_sold_is_nothing(shop: Shop) -> None:
    assert (shop.update(), shop.store.amount(shop.id), shop.store.history(shop.id)) == (0, 0, [])


def test_sales_are_taken_over_once(shop: Shop) -> None:
    shop.sell(100, 250)
    assert (shop.update(), shop.update()) == (2, 0)
    assert shop.store.amount(shop.id) == 350 == balance(shop.merchant)
    assert [(sale.record, sale.customer, sale.amount) for sale in shop.store.history(shop.id)] == [
        (2, ISSUER.id(1), 250),
        (1, ISSUER.id(1), 100),
    ]


def test_what_the_merchant_pays_is_no_sale(shop: Shop) -> None:
    shop.sell(100, 250)
    transfer(shop.merchant, shop.customer, 30)
    assert (shop.update(), shop.store.amount(shop.id)) == (2, 350)


def test_the_stores_outlive_the_program(shop: Shop) -> None:
    shop.sell(100)
    shop.update()
    shop.store.close()
    shop.store = SalesStore(shop.path)
    shop.sell(250)
    assert (shop.update(), shop.store.amount(shop.id)) == (1, 350)


def test_a_new_pos_takes_over_what_the_card_still_has(tmp_path: Path) -> None:
    shop = Shop(tmp_path, history=8)
    for number in range(3):
        shop.sell(*(10,) * 4)
        seen = PurseSession(shop.merchant).get_counters().record
        PurseSession(shop.merchant).put_credit(ISSUER.credit(2, number + 2, seen=seen))
    assert (shop.update(), shop.store.amount(shop.id)) == (8, 80)


def test_records_that_came_too_late_are_told(tmp_path: Path) -> None:
    shop = Shop(tmp_path, history=8)
    shop.sell(100)
    assert (shop.update(), shop.store.missing(shop.id)) == (1, 0)
    for number in range(3):
        PurseSession(shop.merchant).put_credit(ISSUER.credit(2, number + 2, seen=number * 5 + 1))
        shop.sell(*(10,) * 5)
    assert (shop.update(), shop.store.amount(shop.id)) == (8, 180)
    assert shop.store.missing(shop.id) == 7
    assert (shop.update(), shop.store.missing(shop.id)) == (0, 7)


def test_each_merchant_has_sales_of_its_own(shop: Shop) -> None:
    other = ISSUER.purse(3, Role.MERCHANT)
    shop.sell(100)
    transfer(shop.customer, other, 40)
    shop.update()
    shop.store.update(PurseSession(other))
    assert [shop.store.amount(ISSUER.id(serial)) for serial in (2, 3)] == [100, 40]
    assert shop.store.merchants() == [ISSUER.id(2), ISSUER.id(3)]


class Liar(PurseSession):
    """A merchant's card that lies about its history."""

    def __init__(self, card: ModelSlot, newest: int, record: int) -> None:
        super().__init__(card)
        self.newest, self.record = newest, record

    def get_counters(self) -> Counters:
        true: Counters = super().get_counters()
        return replace(true, record=self.newest)

    def read_record(self, age: int) -> HistoryRecord:
        true = super().read_record(0)
        numbers = {"number": self.record or self.newest - age}
        return HistoryRecord(**{name: getattr(true, name) for name in HistoryRecord.LAYOUT} | numbers)


@pytest.mark.parametrize(("newest", "record"), [(1, 0), (5, 2), (0xFFFFFFFF, 7)])
def test_a_card_that_lies_about_its_history_changes_nothing(shop: Shop, newest: int, record: int) -> None:
    shop.sell(100, 250)
    shop.update()
    with pytest.raises(MisbehaviourError, match="do not go on from record 2"):
        shop.store.update(Liar(shop.merchant, newest, record))
    assert shop.store.amount(shop.id) == 350
    shop.sell(1)
    assert (shop.update(), shop.store.amount(shop.id)) == (1, 351)


def test_damaged_stores_are_told(tmp_path: Path) -> None:
    path = tmp_path / "sales.sqlite"
    path.write_bytes(b"this is no database, and long enough to be one " * 100)
    with pytest.raises(StoreError, match="put the file aside"):
        SalesStore(path)


def test_stores_that_are_damaged_while_they_are_in_use_are_told(shop: Shop) -> None:
    shop.update()
    shop.path.write_bytes(b"this is no database, and long enough to be one " * 1000)
    for ask in (shop.update, shop.store.merchants, lambda: shop.store.missing(shop.id)):
        with pytest.raises(StoreError, match="put the file aside"):
            ask()


def test_stores_that_another_program_holds_are_told_and_catch_up(shop: Shop) -> None:
    shop.sell(100)
    other = sqlite3.connect(shop.path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    event.listen(Engine, "connect", do_not_wait)
    try:
        shop.store.close()
        for call in (lambda: SalesStore(shop.path), shop.update, *questions(shop)):
            with pytest.raises(StoreError, match="cannot be used now: database is locked"):
                call()
    finally:
        event.remove(Engine, "connect", do_not_wait)
        other.close()
    assert (shop.update(), shop.store.amount(shop.id)) == (1, 100)


def do_not_wait(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute("PRAGMA busy_timeout=0")


def questions(shop: Shop) -> list[Callable[[], object]]:
    return [shop.store.merchants, *(partial(ask, shop.id) for ask in (shop.store.amount, shop.store.history))]


@pytest.mark.skipif(os.name != "posix", reason="no such names on Windows")
def test_every_path_is_a_path(tmp_path: Path) -> None:
    folder = tmp_path / "shop?mode=memory#100%"
    SalesStore(folder / "sales.sqlite").close()
    assert [path.name for path in folder.iterdir()] == ["sales.sqlite"]
    assert list(tmp_path.iterdir()) == [folder]
