"""A card image as a file: what the end of the process does to it, and what the end of the computer does.

The card's memory writes a journal, then its cells, then clears the journal (``applet_model/memory.py``). When the
*process* ends, every write that has returned is with the operating system, in order, and a journal that was cut does
not verify: the image opens to before or after the transaction. When the *computer* loses power, the operating system
may have put any of the pending writes on the disk, in any order, and in parts. A cell that is there while its journal
is not would be money made or lost. So the memory puts a barrier (``flush``) behind the journal, and another one behind
the cells before it clears the journal; here each is an fsync(2). At power-on the journal is flushed again before it is
applied: a process may have been killed between writing it and the barrier.

An answer of the card leaves it only when the journal is on the disk, so that no receipt outlives its transaction. Two
barriers take one to ten milliseconds a transaction. For trials that make thousands of cards, and can make them again,
``durable=False``, or SAIFU_DURABLE=0 in the environment, leaves the barriers out: such an image survives the end of the
process, and one that was being written when the computer lost its power is to be thrown away.
"""

import os
from contextlib import ExitStack, suppress
from glob import escape
from pathlib import Path

from apdu.errors import StoreError
from host.files import create_whole, locked, sync

__all__ = ["DURABLE_VARIABLE", "FileBacking"]

DURABLE_VARIABLE = "SAIFU_DURABLE"
"""The environment variable that leaves the barriers out when it is 0."""


class FileBacking:
    """A card's memory in one file, written in place; one process at a time holds it. It is a Backing."""

    def __init__(self, path: Path, durable: bool | None = None) -> None:
        """Open an image file; raises StoreError when it is missing, in use or not readable.

        ``durable`` says whether barriers reach the disk; by default the environment says so.
        """
        self.path = path
        self._durable = os.environ.get(DURABLE_VARIABLE) != "0" if durable is None else durable
        image = Path(os.path.realpath(path))
        with ExitStack() as held:
            held.enter_context(locked(path, 0, "take the card out there first"))
            try:
                self._file = held.enter_context(image.open("r+b", buffering=0))
                self._cells = memoryview(bytearray(self._file.read()))
            except OSError as error:
                advice = f"make a blank card with: saifu personalize blank {path}"
                raise StoreError(f"{path}: {error.strerror}; {advice}") from None
            self._require_one_name(image)
            self._held = held.pop_all()

    def _require_one_name(self, image: Path) -> None:
        """With hard links there would be a lock for each, and a card twice; an interrupted ``create`` leaves one."""
        if self._links > 1:
            _remove_leftover(image)
        if self._links > 1:
            raise StoreError(
                f"{self.path}: this file has a second name (a hard link), and could be used as two cards; "
                "remove the other name"
            )

    @property
    def _links(self) -> int:
        return os.fstat(self._file.fileno()).st_nlink

    @staticmethod
    def create(path: Path, image: bytes) -> None:
        """Write a new image file, whole or not at all, readable by its owner only.

        Raises StoreError when the file exists: a card is never overwritten.
        """
        try:
            create_whole(path, image)
        except FileExistsError:
            raise StoreError(f"{path}: there is a card of this name already; choose another name") from None
        except OSError as error:
            raise StoreError(f"{path}: {error.strerror}") from None

    def read(self, offset: int, size: int) -> bytes:
        """Return ``size`` bytes from ``offset``."""
        return self._cells[offset : offset + size].tobytes()

    def write(self, offset: int, data: bytes) -> None:
        """Write to the file, then to the copy in memory."""
        try:
            self._file.seek(offset)
            whole = self._file.write(data) == len(data)
        except OSError as error:
            raise StoreError(f"{self.path}: {error.strerror}; what was not finished is put right at power-on") from None
        if not whole:
            raise StoreError(f"{self.path}: the disk took only a part of a write; it is put right at power-on")
        self._cells[offset : offset + len(data)] = data

    def flush(self) -> None:
        """Wait until the disk has what was written: nothing that follows may be there before it."""
        try:
            if self._durable:
                sync(self._file.fileno())
        except OSError as error:
            raise StoreError(f"{self.path}: {error.strerror}; what was not finished is put right at power-on") from None

    def close(self) -> None:
        """Give the file back to other processes."""
        self._held.close()


def _remove_leftover(image: Path) -> None:
    """Remove the temporary name of a ``create`` that was ended before it could."""
    for leftover in image.parent.glob(f".{escape(image.name)}.????????"):
        with suppress(OSError):
            if leftover.samefile(image):
                leftover.unlink()
