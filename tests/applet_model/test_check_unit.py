"""The check unit (39), fig. 8: balance, chain and newest record are compared; whatever byte of them changes is seen."""

from collections.abc import Callable, Iterator

import pytest

from apdu.status import StatusWord
from applet_model.memory import Cell
from applet_model.memory_map import MemoryMap
from tests.applet_model.purses import ISSUER, Purse, new_purse, refusal_of

W = StatusWord
Place = Callable[[MemoryMap], Cell]


def newest(cells: MemoryMap) -> Cell:
    return cells.records[(cells.record.number() - 1) % cells.history_capacity]


JUDGED: dict[str, Place] = {
    "balance": lambda cells: cells.balance,
    "chain": lambda cells: cells.chain,
    "chain before": lambda cells: cells.chain_before,
    "newest record": newest,
}


def used(records: int = 3) -> Purse:
    """A purse with some records of payments."""
    purse, other = new_purse(2, initial=10_000, history=8), new_purse(3)
    for _ in range(records):
        purse.session().settle(other.receive(purse.pay(other.ask(purse))))
    return purse


def changed(purse: Purse, cell: Cell) -> Iterator[Purse]:
    """The purse with another byte at each place of a cell."""
    image = purse.image
    for at in range(cell.offset, cell.offset + cell.size):
        yield Purse(image[:at] + bytes((image[at] ^ 0x01,)) + image[at + 1 :])


def declines(purse: Purse) -> bool:
    """Neither pays nor asks: 6985."""
    other = new_purse(3)
    asked = other.ask(purse)
    return (refusal_of(purse.pay, asked), refusal_of(purse.ask, other)) == (W.CONDITIONS_OF_USE,) * 2


@pytest.mark.parametrize("place", JUDGED)
def test_a_byte_that_is_not_what_the_card_wrote_stops_it(place: str) -> None:
    purse = used()
    tampered = list(changed(purse, JUDGED[place](purse.cells)))
    assert len(tampered) >= 4
    assert all(declines(one) for one in tampered)


@pytest.mark.parametrize("place", ["balance", "chain"])
def test_so_it_does_on_a_purse_without_a_record(place: str) -> None:
    purse = new_purse(2, initial=10_000)
    assert all(declines(one) for one in changed(purse, JUDGED[place](purse.cells)))


def test_another_newest_record_is_not_taken_for_it() -> None:
    purse = used(3)
    purse.put("record", 2)
    assert declines(purse)


def test_older_records_are_not_looked_at() -> None:
    """The center sees them: they go up to it, and the attested chain is over all of them."""
    purse = used(3)
    purse = next(changed(purse, purse.cells.records[0]))
    purse.pay(new_purse(3).ask(purse))


def seen(purse: Purse, serial: int) -> None:
    """The center has seen all records."""
    purse.session().put_credit(ISSUER.credit(2, serial, seen=purse.cells.record.number()))


def test_the_newest_record_is_compared_also_where_the_history_has_gone_round() -> None:
    purse, other = used(3), new_purse(3)
    for serial in range(2, 9):
        purse.session().settle(other.receive(purse.pay(other.ask(purse))))
        seen(purse, serial)
    assert purse.cells.record.number() > purse.cells.history_capacity
    assert all(declines(one) for one in changed(purse, newest(purse.cells)))
    purse.pay(other.ask(purse))
