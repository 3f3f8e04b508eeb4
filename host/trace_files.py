"""Trace files of any form: opened, recognized, read piece by piece."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import BinaryIO, TypeVar

from apdu.errors import FormatError, InputError
from apdu.trace.detection import read
from apdu.trace.model import Item

__all__ = ["STDIN", "of_slot", "open_trace"]

STDIN = Path("-")
"""The file that stands for standard input."""
_PIECE = 1 << 16
_T = TypeVar("_T")


@contextmanager
def open_trace(file: Path) -> Iterator[tuple[str, Iterator[Item]]]:
    """Name of the form, and the items, of a trace; raises InputError, FormatError, both with the file's name."""
    name = "standard input" if file == STDIN else str(file)
    with _opened(file) as opened:
        try:
            form, items = read(_pieces(opened, name))
        except FormatError as error:
            raise FormatError(f"{name}: {error}") from None
        yield form.name, _named(items, name)


def _named(items: Iterator[Item], name: str) -> Iterator[Item]:
    """The same items; what is wrong in this trace, and in no other that is open, is told with its name."""
    try:
        yield from items
    except FormatError as error:
        raise FormatError(f"{name}: {error}") from None


def of_slot(found: Iterable[_T], slot: str, slot_of: Callable[[_T], str]) -> Iterator[_T]:
    """What is of the slots with ``slot`` in their names, capitals or small; empty: everything.

    Raises InputError at the end when nothing is of such a slot.
    """
    part, there = slot.casefold(), not slot
    for each in found:
        if part in slot_of(each).casefold():
            there = True
            yield each
    if not there:
        raise InputError(f"--slot {slot}: nothing in this trace is of such a slot")


def _opened(file: Path) -> AbstractContextManager[BinaryIO]:
    if file == STDIN:
        return nullcontext(sys.stdin.buffer)
    try:
        return file.open("rb")
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}") from None


def _pieces(opened: BinaryIO, name: str) -> Iterator[bytes]:
    """What fails while reading is told as such; what fails while the items are used is not."""
    try:
        while piece := opened.read(_PIECE):
            yield piece
    except OSError as error:
        raise InputError(f"{name} cannot be read: {error.strerror}") from None
