"""Non-volatile memory with transactions.

A transaction collects its writes, puts them into the journal in one physical write, applies them, and
clears the journal. The journal's checksum is the commit point: a journal that was cut does not verify
and is dropped at power-on; a whole one is applied again. Every physical write goes through ``_write``,
where a cut can be injected before, inside and after it.

A chip writes in order. What stands for its memory may not: between journal and cells, and between cells and
the clearing of the journal, the order is asked for (``Backing.flush``).

A write costs a chip milliseconds, whether it is of one byte or of a page. So cells that change together lie
side by side in a block, and a transaction writes each block once: from its first changed byte to its last,
with what lies between them as it was.
"""

from enum import Enum
from types import TracebackType
from typing import Self
from zlib import crc32

from apdu.errors import SaifuError
from applet_model.backing import Backing

__all__ = ["JOURNAL_SIZE", "Block", "Cell", "Cut", "NonVolatileMemory", "NumberCell", "PowerCutError", "Transaction"]

JOURNAL_SIZE = 1024
"""Bytes of the journal: 6 for its head, then 4 and the data of each write."""

_HEAD = 6


class PowerCutError(SaifuError):
    """The power is gone: the card has no answer, and must be powered on again."""


class Cut(Enum):
    """What a write that is cut leaves in the memory."""

    BEFORE = "old"
    HALF = "half written"
    ERASED = "erased"
    AFTER = "new"


class Block:
    """A mark on cells that lie side by side: a transaction writes those of one block as one."""


class Cell:
    """A place of fixed size for bytes."""

    __slots__ = ("_backing", "block", "offset", "size")

    def __init__(self, backing: Backing, offset: int, size: int, block: Block | None = None) -> None:
        """Put the cell at ``offset`` of the backing; without a block it is written alone."""
        self._backing, self.offset, self.size, self.block = backing, offset, size, block

    def get(self) -> bytes:
        """Read the cell as the last finished transaction left it."""
        return self._backing.read(self.offset, self.size)


class NumberCell(Cell):
    """A place for an unsigned number, big-endian."""

    __slots__ = ()

    def number(self) -> int:
        """Read the number."""
        return int.from_bytes(self._backing.read(self.offset, self.size))


class NonVolatileMemory:
    """The memory of one card: journal first, cells behind it."""

    def __init__(self, backing: Backing, journal: int) -> None:
        """``journal`` is the journal's offset in the backing."""
        self.backing = backing
        self._journal = journal
        self._cut: tuple[int, Cut] | None = None
        self.writes = 0

    def tear(self, write: int, cut: Cut | None) -> None:
        """Cut the power at the ``write``-th physical write from now (0 is the next); None forgets a cut to come."""
        self._cut = (self.writes + write, cut) if cut else None

    def transaction(self) -> "Transaction":
        """Begin a transaction: ``with memory.transaction() as tx: tx.put(cell, value)``."""
        return Transaction(self)

    def commit(self, writes: list[tuple[int, bytes]]) -> None:
        """Make all writes, or, if the power goes, all or none of them."""
        body = b"".join(offset.to_bytes(2) + len(data).to_bytes(2) + data for offset, data in writes)
        if len(body) > JOURNAL_SIZE - _HEAD:
            raise ValueError(f"a transaction of {len(body)} bytes does not fit the journal")
        self._write(self._journal, crc32(body).to_bytes(4) + len(body).to_bytes(2) + body)
        self._apply(writes)

    def recover(self) -> None:
        """At power-on: finish the transaction whose journal is whole, forget one that is not."""
        if self._cut is not None and self._cut[0] < self.writes:
            self._cut = None  # it has happened; one that is still to come may cut the recovery itself
        head = self.backing.read(self._journal, _HEAD)
        size = int.from_bytes(head[4:])
        if not 0 < size <= JOURNAL_SIZE - _HEAD:
            return
        body = self.backing.read(self._journal + _HEAD, size)
        if crc32(body).to_bytes(4) == head[:4]:
            self._apply(_entries(body))

    def _apply(self, writes: list[tuple[int, bytes]]) -> None:
        """Write what the journal says, which is durable before its first cell is, and goes when all of them are."""
        self.backing.flush()
        for offset, data in writes:
            self._write(offset, data)
        self.backing.flush()
        self._write(self._journal + 4, b"\0\0")

    def _write(self, offset: int, data: bytes) -> None:
        """The only way to the backing."""
        at, self.writes = self.writes, self.writes + 1
        if self._cut is None or at < self._cut[0]:
            self.backing.write(offset, data)
            return
        left = {Cut.HALF: data[: len(data) // 2], Cut.ERASED: b"\xff" * len(data), Cut.AFTER: data}
        if torn := left.get(self._cut[1]) if at == self._cut[0] else None:
            self.backing.write(offset, torn)
        raise PowerCutError("the power was cut in a write")


def _entries(body: bytes) -> list[tuple[int, bytes]]:
    writes, at = [], 0
    while at < len(body):
        size = int.from_bytes(body[at + 2 : at + 4])
        writes.append((int.from_bytes(body[at : at + 2]), body[at + 4 : at + 4 + size]))
        at += 4 + size
    return writes


class Transaction:
    """Writes that happen together. A cell shows its old content until the block ends."""

    __slots__ = ("_memory", "_puts")

    def __init__(self, memory: NonVolatileMemory) -> None:
        """Begin with no writes."""
        self._memory = memory
        self._puts: list[tuple[Cell, bytes]] = []

    def get(self, cell: Cell) -> bytes:
        """What a cell will hold when the transaction is done."""
        pending = [data for changed, data in self._puts if changed.offset == cell.offset]
        return pending[-1] if pending else cell.get()

    def put(self, cell: Cell, value: bytes | int) -> None:
        """Write a cell; raises ValueError unless bytes have the cell's size."""
        data = value.to_bytes(cell.size) if isinstance(value, int) else value
        if len(data) != cell.size:
            raise ValueError(f"{len(data)} bytes for a cell of {cell.size}")
        self._puts.append((cell, data))

    def _writes(self) -> list[tuple[int, bytes]]:
        """One write for each block that changes, and one for each cell without a block, in the order of the puts."""
        groups: dict[object, list[tuple[Cell, bytes]]] = {}
        for cell, data in self._puts:
            groups.setdefault(cell.block or cell.offset, []).append((cell, data))
        return [self._one_write(group) for group in groups.values()]

    def _one_write(self, group: list[tuple[Cell, bytes]]) -> tuple[int, bytes]:
        """From the first byte that changes to the last; a later put to a cell counts."""
        start = min(cell.offset for cell, _ in group)
        end = max(cell.offset + cell.size for cell, _ in group)
        content = bytearray(self._memory.backing.read(start, end - start))
        for cell, data in group:
            content[cell.offset - start : cell.offset - start + cell.size] = data
        return start, bytes(content)

    def __enter__(self) -> Self:
        """Return the transaction."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Commit, unless the block raised."""
        if kind is None and self._puts:
            self._memory.commit(self._writes())
