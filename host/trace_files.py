"""Trace files of any form: opened, recognized, read piece by piece."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from apdu.errors import FormatError, InputError
from apdu.trace.detection import read
from apdu.trace.model import Item

__all__ = ["open_trace"]

_PIECE = 1 << 16


@contextmanager
def open_trace(file: Path) -> Iterator[tuple[str, Iterator[Item]]]:
    """Name of the form, and the items, of a trace; raises InputError, FormatError, both with the file's name."""
    try:
        with file.open("rb") as opened:
            form, items = read(iter(lambda: opened.read(_PIECE), b""))
            yield form.name, items
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}") from None
    except FormatError as error:
        raise FormatError(f"{file}: {error}") from None
