"""The journal of a batch: what it says it keeps, and a part of a line says nothing."""

from pathlib import Path

import pytest

from apdu.errors import InputError, StoreError
from apdu.identity import CardId
from personalization.journal import Journal
from personalization.orders import OrderList

CARDS = [CardId.of(1, serial) for serial in (7, 8)]


@pytest.fixture
def orders(tmp_path: Path) -> OrderList:
    file = tmp_path / "orders.csv"
    file.write_text("holder\nAoi\nBotan\n", "utf-8")
    return OrderList.load(file)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal"


def fill(path: Path, orders: OrderList) -> None:
    """Aoi has a card that is done, Botan one that is not."""
    with Journal(path, orders) as journal:
        for order, card in zip(orders.orders, CARDS, strict=True):
            journal.allot(order, card)
        journal.finish(orders.orders[0])


def test_what_was_noted_is_read_again(path: Path, orders: OrderList) -> None:
    fill(path, orders)
    with Journal(path, orders) as journal:
        assert journal.allotted == {2: CARDS[0], 3: CARDS[1]}
        assert journal.done == {2}


def test_every_note_is_in_the_file_at_once(path: Path, orders: OrderList) -> None:
    with Journal(path, orders) as journal:
        sizes = [path.stat().st_size]
        journal.allot(orders.orders[0], CARDS[0])
        sizes.append(path.stat().st_size)
        journal.finish(orders.orders[0])
        sizes.append(path.stat().st_size)
    assert sizes == sorted(set(sizes))


def test_cut_at_any_byte_it_says_what_its_whole_lines_say(path: Path, orders: OrderList) -> None:
    fill(path, orders)
    whole = path.read_bytes()
    for size in range(len(whole) + 1):
        path.write_bytes(whole[:size])
        with Journal(path, orders) as journal:
            lines = whole[:size].count(b"\n")
            assert len(journal.allotted) == min(max(lines - 1, 0), 2)
            assert len(journal.done) == (lines == 4)
            journal.finish(orders.orders[1])
        with Journal(path, orders) as journal:
            assert 3 in journal.done, "what is noted after a cut is on a line of its own"


def test_a_journal_is_one_batchs_until_it_is_closed(path: Path, orders: OrderList) -> None:
    with Journal(path, orders), pytest.raises(StoreError, match=r"another process.*run the same command again"):
        Journal(path, orders)
    Journal(path, orders).close()


def test_a_journal_that_is_refused_is_held_by_nobody(path: Path, orders: OrderList) -> None:
    path.write_bytes(b"5\n")
    with pytest.raises(StoreError, match="is damaged"):
        Journal(path, orders)
    path.unlink()
    Journal(path, orders).close()


def test_another_list_is_told_from_this_one(path: Path, orders: OrderList, tmp_path: Path) -> None:
    fill(path, orders)
    other = tmp_path / "other.csv"
    other.write_text("holder\nAoi\nChie\n", "utf-8")
    before = path.read_bytes()
    with pytest.raises(InputError, match="belongs to another list"):
        Journal(path, OrderList.load(other))
    assert path.read_bytes() == before


DAMAGES = {
    "no JSON": b"hello\n",
    "no object": b"[]\n",
    "empty lines": b"\n\n",
    "not UTF-8": b"\xff\xfe\n",
    "a number": b"5\n",
}
LATER = {
    "no card": b'{"line": 2, "card": "00001-0000000002-0"}\n',
    "no line": b'{"card": "00001-0000000002-4"}\n',
    "card is a number": b'{"line": 2, "card": 5}\n',
    "not UTF-8": b'{"line": \xff}\n',
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_no_journal_is_told(path: Path, orders: OrderList, damage: str) -> None:
    path.write_bytes(DAMAGES[damage])
    with pytest.raises((StoreError, InputError), match=str(path)):
        Journal(path, orders)
    assert path.read_bytes() == DAMAGES[damage]


@pytest.mark.parametrize("damage", LATER)
def test_a_damaged_line_is_told(path: Path, orders: OrderList, damage: str) -> None:
    fill(path, orders)
    path.write_bytes(path.read_bytes() + LATER[damage])
    with pytest.raises(StoreError, match="is damaged"):
        Journal(path, orders)
