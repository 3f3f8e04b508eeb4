"""Transactions: all or nothing at every physical write, with a second cut in the recovery."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from applet_model.backing import MemoryBacking
from applet_model.memory import JOURNAL_SIZE, Block, Cell, Cut, NonVolatileMemory, NumberCell, PowerCutError
from tests.applet_model.naive import NaiveMemory

SIZES = (1, 2, 4, 32, 99)
"""Cells behind the journal; a one-byte cell has no half."""
EMPTY = bytes(JOURNAL_SIZE + sum(SIZES))
FIRST = tuple(bytes((16 + i,)) * size for i, size in enumerate(SIZES))
SECOND = tuple(bytes((32 + i,)) * size for i, size in enumerate(SIZES))


MemoryKind = type[NonVolatileMemory]


class Bench:
    """A memory over a copy of an image, and its cells."""

    def __init__(self, image: bytes = EMPTY, kind: MemoryKind = NonVolatileMemory) -> None:
        self.backing = MemoryBacking(image)
        self.memory = kind(self.backing, 0)
        starts = [JOURNAL_SIZE + sum(SIZES[:i]) for i in range(len(SIZES))]
        self.cells = [Cell(self.backing, at, size) for at, size in zip(starts, SIZES, strict=True)]

    def content(self) -> tuple[bytes, ...]:
        return tuple(cell.get() for cell in self.cells)

    def write(self, content: tuple[bytes, ...]) -> None:
        with self.memory.transaction() as tx:
            for cell, value in zip(self.cells, content, strict=True):
                tx.put(cell, value)


def cut(bench: Bench, write: int, how: Cut, act: Callable[[], None]) -> bytes:
    """Do something that is cut; return what the power left behind."""
    bench.memory.tear(write, how)
    with pytest.raises(PowerCutError):
        act()
    return bench.backing.image()


def recovered(image: bytes, kind: MemoryKind) -> tuple[Bench, int]:
    """Power on: the memory, and how many writes that took."""
    bench = Bench(image, kind)
    bench.memory.recover()
    return bench, bench.memory.writes


def ends(torn: bytes, kind: MemoryKind) -> Iterator[tuple[bytes, ...]]:
    """What is found after a recovery, and after each recovery that was cut itself and done again."""
    bench, writes = recovered(torn, kind)
    yield bench.content()
    for write, how in product(range(writes), Cut):
        again = Bench(torn, kind)
        yield recovered(cut(again, write, how, again.memory.recover), kind)[0].content()


def sweep(kind: MemoryKind) -> Iterator[tuple[int, Cut, tuple[bytes, ...]]]:
    """Cut the second transaction at every write in every way."""
    bench = Bench(kind=kind)
    bench.write(FIRST)
    before, start = bench.backing.image(), bench.memory.writes
    bench.write(SECOND)
    for write, how in product(range(bench.memory.writes - start), Cut):
        fresh = Bench(before, kind)
        torn = cut(fresh, write, how, partial(fresh.write, SECOND))
        for content in ends(torn, kind):
            yield write, how, content


def test_every_cut_ends_as_before_or_as_after() -> None:
    found = list(sweep(NonVolatileMemory))
    assert {content for _, _, content in found} == {FIRST, SECOND}
    # 7 writes: the journal (whole only AFTER), 5 cells, the clearing (BEFORE and HALF leave a whole journal)
    assert len(found) == 3 + (1 + 5 * 4 + 2) * (1 + 6 * 4) + 2


def test_journal_is_the_commit_point() -> None:
    for write, how, content in sweep(NonVolatileMemory):
        committed = write > 0 or how is Cut.AFTER
        assert content == (SECOND if committed else FIRST), (write, how)


def test_without_a_journal_the_sweep_finds_states_between() -> None:
    found = list(sweep(NaiveMemory))
    between = [content for _, _, content in found if content not in (FIRST, SECOND)]
    assert len(found) == 5 * 4
    assert len(between) >= 10


CONTENT = st.tuples(*(st.binary(min_size=size, max_size=size) for size in SIZES))


@given(st.lists(CONTENT, min_size=1, max_size=4), st.integers(0, 27), st.sampled_from(Cut))
def test_of_many_transactions_a_prefix_survives(contents: list[tuple[bytes, ...]], write: int, how: Cut) -> None:
    bench, done = Bench(), [Bench().content()]
    bench.memory.tear(write, how)
    try:
        for content in contents:
            bench.write(content)
            done.append(content)
    except PowerCutError:
        pass
    pending = contents[len(done) - 1 : len(done)]
    assert recovered(bench.backing.image(), NonVolatileMemory)[0].content() in [done[-1], *pending]


def test_without_power_nothing_is_written_until_it_comes_back() -> None:
    bench = Bench()
    left = cut(bench, 0, Cut.BEFORE, lambda: bench.write(FIRST))
    assert cut_again(bench) == left
    bench.memory.recover()
    bench.write(FIRST)
    assert bench.content() == FIRST


def cut_again(bench: Bench) -> bytes:
    """A second command to a card that has no power any more."""
    with pytest.raises(PowerCutError):
        bench.write(SECOND)
    return bench.backing.image()


def test_reads_in_a_transaction_show_the_old_content() -> None:
    bench = Bench()
    with bench.memory.transaction() as tx:
        tx.put(bench.cells[0], b"\x55")
        assert bench.cells[0].get() == b"\0"
    assert bench.cells[0].get() == b"\x55"


def test_an_error_in_the_block_drops_the_transaction() -> None:
    bench = Bench()

    def fail_half_way() -> None:
        with bench.memory.transaction() as tx:
            tx.put(bench.cells[0], b"\x55")
            raise KeyError

    with pytest.raises(KeyError):
        fail_half_way()
    assert (bench.content(), bench.memory.writes) == (Bench().content(), 0)


def test_an_empty_transaction_writes_nothing() -> None:
    bench = Bench()
    with bench.memory.transaction():
        pass
    assert bench.memory.writes == 0


def test_a_number_is_big_endian() -> None:
    bench = Bench()
    cell = NumberCell(bench.backing, JOURNAL_SIZE, 3)
    with bench.memory.transaction() as tx:
        tx.put(cell, 0x010203)
    assert (cell.get(), cell.number()) == (b"\x01\x02\x03", 0x010203)


def test_cells_of_a_block_are_one_write_from_the_first_that_changes_to_the_last() -> None:
    bench, block = Bench(), Block()
    bench.write(FIRST)
    cells = [Cell(bench.backing, cell.offset, cell.size, block) for cell in bench.cells]
    before = bench.memory.writes
    with bench.memory.transaction() as tx:
        tx.put(cells[3], SECOND[3])
        tx.put(cells[1], SECOND[1])
    assert bench.memory.writes - before == 3
    assert bench.content() == (FIRST[0], SECOND[1], FIRST[2], SECOND[3], FIRST[4])


def test_each_block_is_a_write_of_its_own_and_the_last_put_counts() -> None:
    bench, blocks = Bench(), (Block(), Block())
    cells = [Cell(bench.backing, cell.offset, cell.size, blocks[at > 2]) for at, cell in enumerate(bench.cells)]
    with bench.memory.transaction() as tx:
        for cell, first, second in zip(cells, FIRST, SECOND, strict=True):
            tx.put(cell, first)
            tx.put(cell, second)
            assert tx.get(cell) == second
    assert (bench.memory.writes, bench.content()) == (4, SECOND)


@pytest.mark.parametrize("size", [0, 1, 3])
def test_a_value_has_the_size_of_its_cell(size: int) -> None:
    bench = Bench()
    with pytest.raises(ValueError, match="cell of 2"), bench.memory.transaction() as tx:
        tx.put(bench.cells[1], bytes(size))


def test_a_transaction_larger_than_the_journal_is_refused_whole() -> None:
    bench = Bench()
    too_many = [(JOURNAL_SIZE, SECOND[-1])] * (JOURNAL_SIZE // (4 + SIZES[-1]) + 1)
    with pytest.raises(ValueError, match="does not fit"):
        bench.memory.commit(too_many)
    assert bench.memory.writes == 0


@pytest.mark.parametrize("size", [1, 0x10, JOURNAL_SIZE - 6, JOURNAL_SIZE - 5, 0xFFFF])
def test_a_journal_that_does_not_verify_is_forgotten(size: int) -> None:
    image = bytes(4) + size.to_bytes(2) + b"\x04" * (JOURNAL_SIZE - 6) + bytes(sum(SIZES))
    bench, writes = recovered(image, NonVolatileMemory)
    assert (bench.content(), writes) == (Bench().content(), 0)
