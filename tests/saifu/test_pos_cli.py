"""``saifu pos sales``: what was sold, and what is known to be left out."""

import sqlite3
from contextlib import closing

from tests.saifu.shell import Shell


def test_sales_say_when_records_are_left_out(shell: Shell) -> None:
    shell.good("pos", "sell", "5", "-r", "model:aoi.card", "-m", "model:shop.card")
    whole = shell.good("pos", "sales")
    assert "overwritten" not in whole.out
    with closing(sqlite3.connect(shell.home / "terminal" / "sales.sqlite")) as database, database:
        database.execute("INSERT INTO gaps SELECT merchant, 7 FROM marks")
    left_out = "        without 7 records that the card had overwritten before they were read\n"
    assert shell.good("pos", "sales").out.replace(left_out, "") == whole.out
    assert left_out in shell.good("pos", "sales").out
    (merchant,) = shell.good("pos", "sales", "--json").document["merchants"]
    assert (merchant["amount"], merchant["missing_records"]) == (500, 7)
