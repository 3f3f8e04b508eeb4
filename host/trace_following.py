"""A trace that a running program still writes, line by line as they come: ``saifu trace show --follow``."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import BinaryIO

from apdu.errors import InputError
from apdu.trace.own import LONGEST_LINE

__all__ = ["PAUSE", "follow"]

PAUSE = 0.2
"""Seconds between two looks at the file."""


def follow(path: Path, tell: Callable[[str], None], pause: Callable[[float], object] = time.sleep) -> Iterator[bytes]:
    """Whole lines of a file in the own form, for ever; KeyboardInterrupt in a pause ends them.

    A line without its end waits for the rest. A file that is not there yet is waited for; one that is cut short or
    replaced is read from its beginning. ``tell`` hears of both. Raises InputError when it cannot be read.
    """
    try:
        while True:
            with _opened(path, tell, pause) as file:
                yield from _lines(path, file, pause)
            tell(f"{path} was cut short or replaced; what is in it now follows")
    except KeyboardInterrupt:
        return
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None


def _opened(path: Path, tell: Callable[[str], None], pause: Callable[[float], object]) -> BinaryIO:
    """The file, as soon as it is there."""
    told = False
    while True:
        try:
            mode = path.stat().st_mode
            if not (S_ISREG(mode) or S_ISDIR(mode)):
                raise InputError(f"{path}: --follow is for files that grow, and this is none; show it without --follow")
            return path.open("rb")
        except FileNotFoundError:
            if not told:
                tell(f"{path} is not there yet; waiting for it")
            told = True
            pause(PAUSE)


def _lines(path: Path, file: BinaryIO, pause: Callable[[float], object]) -> Iterator[bytes]:
    """Lines until the file is another one; one that is too long comes in pieces, which no form takes."""
    part = b""
    while True:
        part += file.readline(LONGEST_LINE + 1 - len(part))
        if part.endswith(b"\n") or len(part) > LONGEST_LINE:
            yield part
            part = b""
        elif _is_another(path, file):
            return
        else:
            pause(PAUSE)


def _is_another(path: Path, file: BinaryIO) -> bool:
    """Whether the name now is of another file, or this one has become shorter; none of that name: not yet."""
    was = os.fstat(file.fileno())
    try:
        now = path.stat()
    except FileNotFoundError:
        return False
    return (now.st_dev, now.st_ino) != (was.st_dev, was.st_ino) or was.st_size < file.tell()
