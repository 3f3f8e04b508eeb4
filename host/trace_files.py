"""Trace files of any form: opened, recognized, read piece by piece."""

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import BinaryIO

from apdu.errors import FormatError, InputError
from apdu.trace.detection import read
from apdu.trace.model import Item

__all__ = ["STDIN", "open_trace"]

STDIN = Path("-")
"""The file that stands for standard input."""
_PIECE = 1 << 16


@contextmanager
def open_trace(file: Path) -> Iterator[tuple[str, Iterator[Item]]]:
    """Name of the form, and the items, of a trace; raises InputError, FormatError, both with the file's name."""
    name = "standard input" if file == STDIN else str(file)
    with _opened(file) as opened:
        try:
            form, items = read(_pieces(opened, name))
            yield form.name, items
        except FormatError as error:
            raise FormatError(f"{name}: {error}") from None


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
