"""Sales amount (32) and sales history (33): begun, booked once or dropped, with a total that is always their sum."""

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apdu.errors import StoreError
from apdu.identity import CardId
from host.terminal.sales import Begun, Sale, SalesStore
from tests.issuer import NOW

SHOP, KIOSK = CardId.of(1, 2), CardId.of(1, 3)
AOI, BOTAN = CardId.of(1, 10), CardId.of(1, 11)


@pytest.fixture
def store(tmp_path: Path) -> SalesStore:
    return SalesStore(tmp_path / "sales.sqlite")


def sell(store: SalesStore, request: int, amount: int, merchant: CardId = SHOP, time: int = NOW) -> None:
    store.begin(merchant, Begun(request, AOI, amount, time))
    assert store.book(merchant, request, counter=100 + request)


def test_nothing_sold_is_nothing(store: SalesStore) -> None:
    assert (store.amount(SHOP), store.count(SHOP), list(store.history(SHOP)), store.merchants()) == (0, 0, [], [])


def test_what_is_begun_is_no_sale_yet(store: SalesStore) -> None:
    store.begin(SHOP, Begun(1, AOI, 250, NOW))
    assert store.begun(SHOP) == [Begun(1, AOI, 250, NOW)]
    assert (store.amount(SHOP), list(store.history(SHOP)), store.merchants()) == (0, [], [SHOP])


def test_a_sale_is_booked_once_with_the_time_at_which_it_was_begun(store: SalesStore) -> None:
    store.begin(SHOP, Begun(1, AOI, 250, NOW))
    assert [store.book(SHOP, 1, counter=7), store.book(SHOP, 1, counter=7)] == [True, False]
    assert (store.amount(SHOP), store.count(SHOP), store.begun(SHOP)) == (250, 1, [])
    assert list(store.history(SHOP)) == [Sale(1, AOI, 7, 250, NOW)]


def test_what_was_not_begun_here_is_not_booked(store: SalesStore) -> None:
    assert not store.book(SHOP, 1, counter=1)
    sell(store, 1, 250)
    assert not store.book(KIOSK, 1, counter=1)
    assert (store.amount(SHOP), store.amount(KIOSK)) == (250, 0)


def test_what_is_dropped_was_never_sold(store: SalesStore) -> None:
    store.begin(SHOP, Begun(1, AOI, 250, NOW))
    store.drop(SHOP, 1)
    assert not store.book(SHOP, 1, counter=1)
    assert (store.amount(SHOP), store.begun(SHOP)) == (0, [])


def test_what_is_in_doubt_is_neither_booked_nor_forgotten(store: SalesStore) -> None:
    store.begin(SHOP, Begun(1, AOI, 250, NOW))
    store.doubt(SHOP, 1)
    store.drop(SHOP, 1)
    assert not store.book(SHOP, 1, counter=1)
    assert store.begun(SHOP) == [Begun(1, AOI, 250, NOW, in_doubt=True)]


def test_a_request_that_comes_again_puts_those_after_it_in_doubt(store: SalesStore) -> None:
    """The merchant's card was put back to an older copy: what it did since is not on it."""
    for request in (1, 2, 3):
        store.begin(SHOP, Begun(request, AOI, 100, NOW))
    store.begin(SHOP, Begun(2, BOTAN, 40, NOW + 60))
    assert [(one.request, one.in_doubt) for one in store.begun(SHOP)] == [(1, False), (2, True), (3, True), (2, False)]
    assert store.book(SHOP, 2, counter=1)
    assert (store.amount(SHOP), [sale.customer for sale in store.history(SHOP)]) == (40, [BOTAN])


def test_histories_are_newest_first_and_as_long_as_is_wanted(store: SalesStore) -> None:
    for request in (1, 2, 3):
        sell(store, request, request * 100, time=NOW - 60 * request)  # a clock that is set back puts nothing in order
    assert [sale.amount for sale in store.history(SHOP)] == [300, 200, 100]
    assert [sale.amount for sale in store.history(SHOP, last=2)] == [300, 200]
    assert list(store.history(SHOP, last=0)) == []


def test_each_merchant_has_sales_of_its_own(store: SalesStore) -> None:
    sell(store, 1, 100)
    sell(store, 1, 40, KIOSK)
    assert [(store.amount(card), store.count(card)) for card in store.merchants()] == [(100, 1), (40, 1)]
    assert [sale.amount for sale in store.history(KIOSK)] == [40]


def test_the_stores_outlive_the_program(store: SalesStore, tmp_path: Path) -> None:
    sell(store, 1, 100)
    store.begin(SHOP, Begun(2, BOTAN, 30, NOW))
    store.close()
    again = SalesStore(tmp_path / "sales.sqlite")
    assert (again.amount(SHOP), [one.request for one in again.begun(SHOP)]) == (100, [2])
    assert again.book(SHOP, 2, counter=1)
    assert again.amount(SHOP) == 130


KILLED = """
import os, signal, sys
from pathlib import Path
from apdu.identity import CardId
from host.terminal.sales import Begun, SalesStore
store = SalesStore(Path(sys.argv[1]))
store.begin(CardId.of(1, 2), Begun(1, CardId.of(1, 10), 250, 7))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_is_begun_outlives_a_program_that_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "sales.sqlite"
    subprocess.run([sys.executable, "-c", KILLED, path], check=False)
    assert SalesStore(path).begun(SHOP) == [Begun(1, AOI, 250, 7)]


CALLS = st.tuples(st.sampled_from(["begin", "book", "drop", "doubt"]), st.integers(1, 4), st.integers(1, 999))


@given(st.lists(CALLS))
def test_the_total_is_always_the_sum_of_the_sales(calls: list[tuple[str, int, int]]) -> None:
    with TemporaryDirectory() as folder, closing(SalesStore(Path(folder) / "sales.sqlite")) as store:
        for what, request, amount in calls:
            if what == "begin":
                store.begin(SHOP, Begun(request, AOI, amount, NOW))
            elif what == "book":
                store.book(SHOP, request, counter=1)
            else:
                (store.drop if what == "drop" else store.doubt)(SHOP, request)
        sold = list(store.history(SHOP))
        assert (store.amount(SHOP), store.count(SHOP)) == (sum(sale.amount for sale in sold), len(sold))


def test_a_reader_holds_nobody_up_and_sees_one_moment(store: SalesStore, tmp_path: Path) -> None:
    sell(store, 1, 100)
    sell(store, 2, 50)
    reader = SalesStore(tmp_path / "sales.sqlite")
    with reader.snapshot():
        history = reader.history(SHOP)
        first = list(islice(history, 1))
        sell(store, 3, 25)
        assert [sale.amount for sale in [*first, *history]] == [50, 100]
        assert (reader.amount(SHOP), reader.count(SHOP)) == (150, 2)
    assert reader.amount(SHOP) == 175


# --- files that are not as they should be ----------------------------------------------------------------------


def earlier(path: Path) -> None:
    """A store as saifu made it when it counted all receipts."""
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE sales (merchant BLOB, record INTEGER, customer BLOB, amount INTEGER)")
        database.execute("INSERT INTO sales VALUES (?, 1, ?, 10000)", (SHOP, AOI))


def test_a_store_of_an_earlier_version_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "sales.sqlite"
    earlier(path)
    before = path.read_bytes()
    told = r"loads and remittances too, which cannot be told apart any more; rename it to sales-version-1\.sqlite"
    with pytest.raises(StoreError, match=told):
        SalesStore(path)
    assert path.read_bytes() == before
    path.rename(path.with_name("sales-version-1.sqlite"))
    assert SalesStore(path).merchants() == []


def test_a_store_of_a_later_version_is_refused_and_kept(store: SalesStore, tmp_path: Path) -> None:
    store.close()
    path = tmp_path / "sales.sqlite"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("PRAGMA user_version = 3")
    with pytest.raises(StoreError, match=r"of version 3, where this saifu has 2; rename it to sales-version-3\.sqlite"):
        SalesStore(path)


def test_damaged_stores_are_told(tmp_path: Path) -> None:
    path = tmp_path / "sales.sqlite"
    path.write_bytes(b"this is no database, and long enough to be one " * 100)
    with pytest.raises(StoreError, match="put the file aside"):
        SalesStore(path)


def test_a_history_that_is_damaged_is_told(store: SalesStore, tmp_path: Path) -> None:
    for request in range(1, 400):
        sell(store, request, 1)
    store.close()
    path = tmp_path / "sales.sqlite"
    path.write_bytes(path.read_bytes()[:0x3000] + b"\xff" * (path.stat().st_size - 0x3000))
    with pytest.raises(StoreError, match="put the file aside"):
        list(SalesStore(path).history(SHOP))


def calls(store: SalesStore) -> list[Callable[[], object]]:
    return [
        lambda: store.begin(SHOP, Begun(2, AOI, 1, NOW)),
        lambda: store.book(SHOP, 1, 1),
        lambda: store.drop(SHOP, 1),
        lambda: store.doubt(SHOP, 1),
    ]


def test_a_store_in_which_another_program_writes_is_told_and_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "sales.sqlite"
    store = SalesStore(path, patience=0)
    store.begin(SHOP, Begun(1, AOI, 250, NOW))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for call in (lambda: SalesStore(path, patience=0), *calls(store)):
            with pytest.raises(StoreError, match="cannot be used now: database is locked"):
                call()
    assert store.begun(SHOP) == [Begun(1, AOI, 250, NOW)]
    assert store.book(SHOP, 1, 1)


@pytest.mark.skipif(sys.platform == "win32", reason="no such names on Windows")
def test_every_path_is_a_path(tmp_path: Path) -> None:
    folder = tmp_path / "shop?mode=memory#100%"
    SalesStore(folder / "sales.sqlite").close()
    assert [path.name for path in folder.iterdir()] == ["sales.sqlite"]
    assert list(tmp_path.iterdir()) == [folder]
