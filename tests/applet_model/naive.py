"""The naive twin: the same card without a journal, kept to show that the sweeps of cuts bite."""

from applet_model.memory import NonVolatileMemory
from applet_model.memory_map import MemoryMap
from tests.applet_model.cards import CopiedCard

__all__ = ["NaiveCard", "NaiveMemory"]


class NaiveMemory(NonVolatileMemory):
    """Writes in place, one after the other."""

    def commit(self, writes: list[tuple[int, bytes]]) -> None:
        for offset, data in writes:
            self._write(offset, data)


class NaiveCard(CopiedCard):
    """The real card over the naive memory."""

    def __init__(self, image: bytes, seed: int = 0) -> None:
        super().__init__(image, seed)
        cells = MemoryMap.open(self._copy)
        cells.memory = NaiveMemory(self._copy, 16)
        self._cells = cells
