"""What the forms that are text have in common: lines out of pieces, hexadecimal digits, numbers."""

import re
from collections.abc import Iterable, Iterator

from apdu.trace.model import Remark

__all__ = ["HEAD_SIZE", "LONGEST_LINE", "damaged", "head_lines", "lines", "octets", "take_octets"]

HEAD_SIZE = 4096
"""Bytes of a trace's beginning that detection looks at."""
LONGEST_LINE = 1 << 20
"""Bytes of a line that are read; the longest command or answer of ISO 7816-4 takes a fifth of it."""

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_CUT = "…"
_ROW = 16


def lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """Lines without their ends, byte order mark and colours; what is longer than LONGEST_LINE is cut, and marked."""
    rest, mark = bytearray(), "\ufeff"
    for chunk in chunks:
        first, *others = chunk.split(b"\n")
        rest += first
        for other in others:
            yield _clean(rest).removeprefix(mark)
            rest, mark = bytearray(other), ""
        del rest[LONGEST_LINE + 1 :]
    if rest:
        yield _clean(rest).removeprefix(mark)


def _clean(raw: bytearray) -> str:
    """The mark at the end of a line that was cut is no hexadecimal digit, so that no command is taken for whole."""
    line = raw[:LONGEST_LINE].decode("utf-8", "replace").rstrip("\r")
    if "\x1b" in line:
        line = _COLOURS.sub("", line)
    return line + _CUT if len(raw) > LONGEST_LINE else line


def head_lines(head: bytes) -> str:
    """The head of a trace as text, lines divided by one character, for the patterns of detection."""
    return "\n".join(lines([head[:HEAD_SIZE]]))


def octets(text: str) -> bytes | None:
    """Bytes out of hexadecimal digits, with spaces or colons between bytes or without; None if they are not."""
    try:
        return bytes.fromhex(text.replace(":", " "))
    except ValueError:
        return None


def take_octets(row: str, missing: int) -> bytes | None:
    """Bytes of one row of a dump in the style of hexdump: at most 16, or those that are missing; the rest is text."""
    count = min(_ROW, missing)
    return raw if (raw := octets(row[: 3 * count])) and len(raw) == count else None


def damaged(number: int, what: str, slot: str = "", time: float | None = None) -> Remark:
    """Tell that line ``number`` could not be read, without a byte of what it says."""
    return Remark(f"line {number}: {what}", slot, time)
