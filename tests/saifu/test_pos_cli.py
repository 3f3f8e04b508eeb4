"""``saifu pos``: what was sold, what was begun, and what a merchant's card must be."""

import re
import sqlite3
from contextlib import closing

from tests.saifu.shell import Ran, Shell

AOI = "00001-0000000002-4"


def sell(shell: Shell, amount: str, merchant: str = "shop", *more: str) -> Ran:
    return shell.run("pos", "sell", amount, "-r", "model:aoi.card", "-m", f"model:{merchant}.card", *more)


def change(shell: Shell, statement: str) -> None:
    with closing(sqlite3.connect(shell.home / "terminal" / "sales.sqlite")) as database, database:
        database.execute(statement)


def test_sales_tell_time_amount_and_payer_and_nothing_else_counts(shell: Shell) -> None:
    assert sell(shell, "5").code == 0
    shell.good("atm", "load", "100", "-r", "model:shop.card")
    shell.good("remit", "2", "-r", "model:aoi.card", "--to", "model:shop.card")
    assert "S312  update sales amount and sales history: 6.30 EUR in all" in sell(shell, "1.30").out
    change(shell, "UPDATE sales SET time = 1800000000 + 60 * number")
    told = shell.good("pos", "sales").out.splitlines()
    assert re.fullmatch(r"[-\d]+  6\.30 EUR in all, 2 sales", told[0])
    assert told[1:] == [
        f"  2027-01-15 08:02        1.30 EUR  from {AOI}",
        f"  2027-01-15 08:01        5.00 EUR  from {AOI}",
    ]
    assert shell.good("pos", "sales", "--last", "1").out.splitlines() == told[:2]


def test_sales_as_one_document(shell: Shell) -> None:
    assert shell.good("pos", "sales", "--json").document == {"currency": "EUR", "merchants": []}
    assert shell.good("pos", "sales").out == "nothing was sold yet\n"
    for amount in ("5", "1"):
        sell(shell, amount)
    change(shell, "INSERT INTO begun SELECT 3, merchant, 9, customer, 70, 5, 1 FROM sales WHERE number = 1")
    change(shell, "INSERT INTO begun SELECT 4, X'000100000063', 9, customer, 70, 5, 0 FROM sales WHERE number = 1")
    change(shell, "UPDATE sales SET time = number")
    shop, other = shell.good("pos", "sales", "--json").document["merchants"]
    assert (shop["amount"], shop["count"], other["amount"], other["sales"]) == (600, 2, 0, [])
    assert shop["sales"] == [
        {"time": 2, "amount": 100, "customer": AOI, "counter": 2, "request": 2},
        {"time": 1, "amount": 500, "customer": AOI, "counter": 1, "request": 1},
    ]
    begun = {"time": 5, "amount": 70, "customer": AOI, "request": 9}
    assert (shop["begun"], other["begun"]) == ([begun | {"in_doubt": True}], [begun | {"in_doubt": False}])
    text = shell.good("pos", "sales").out
    assert "0.70 EUR  from 00001-0000000002-4  in doubt: the merchant's card does not know any more" in text
    assert "0.70 EUR  from 00001-0000000002-4  begun: booked or dropped when" in text


def test_a_persons_card_sells_nothing(shell: Shell) -> None:
    ran = sell(shell, "5", "botan")
    assert (ran.code, "has the role person" in ran.fault, "(--merchant)" in ran.fault) == (5, True, True)
    ran = shell.run("pos", "sales", "-m", "model:botan.card")
    assert (ran.code, "has the role person" in ran.fault) == (5, True)


def test_a_merchants_card_is_asked_how_cut_sales_ended(shell: Shell) -> None:
    sell(shell, "5")
    change(shell, "INSERT INTO begun SELECT number, merchant, request, customer, amount, time, 0 FROM sales")
    change(shell, "DELETE FROM sales")
    change(shell, "DELETE FROM totals")
    assert "0.00 EUR in all, 0 sales" in shell.good("pos", "sales").out
    told = shell.good("pos", "sales", "-m", "model:shop.card").out
    assert "a sale of 5.00 EUR that was cut is booked" in told
    assert "5.00 EUR in all, 1 sale\n" in told
    (shop,) = shell.good("pos", "sales", "-m", "model:shop.card", "--json").document["merchants"]
    assert (shop["amount"], shop["begun"]) == (500, [])


def test_a_store_of_an_earlier_version_is_refused_with_what_to_do(shell: Shell) -> None:
    with closing(sqlite3.connect(shell.home / "terminal" / "sales.sqlite")) as database, database:
        database.execute("CREATE TABLE sales (merchant BLOB, record INTEGER)")
    ran = sell(shell, "5")
    assert (ran.code, "rename it to sales-version-1.sqlite" in ran.fault) == (9, True)
