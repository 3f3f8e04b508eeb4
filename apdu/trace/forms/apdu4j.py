"""Dumps of apdu4j, which its replay provider reads: commands and answers in turn, comments between them.

``# ATR:``, ``# PROTOCOL: T=1``, then ``# Sent``, a command, ``# Received in 40ms``, its answer, and so on; of late
``# 40ms`` alone stands between a command and its answer.
"""

import re
from collections.abc import Iterable, Iterator

from apdu.trace.forms.comments import Comments, one_line
from apdu.trace.forms.odd_answers import without_odd_answers
from apdu.trace.forms.text import damaged, head_lines, lines, octets
from apdu.trace.model import Exchange, Item, Remark, Reset

__all__ = ["NAME", "detect", "read", "write"]

NAME = "apdu4j"

_HEAD = re.compile(
    r"^# (Generated on .* by apdu4j|ATR: [0-9A-F]|Sent\n[0-9A-F]|(Received in )?[\d.]+ms\n[0-9A-F])", re.MULTILINE
)
_ATR = re.compile(r"# ATR: ?([0-9A-Fa-f ]*)$")
_RECEIVED = re.compile(r"# (?:Received$|(?:Received in )?(\d{1,12}(?:\.\d{1,12})?)ms$)")
_FRAME = re.compile(r"#\s*$|# Sent$|# Generated on |# PROTOCOL: ")
_SHORTEST_ANSWER = 2


def detect(head: bytes) -> bool:
    """Whether a dump begins like this."""
    return bool(_HEAD.search(head_lines(head)))


def read(chunks: Iterable[bytes]) -> Iterator[Item]:
    """Items of a dump."""
    dump = _Dump()
    for number, line in enumerate(lines(chunks), 1):
        if line.strip():
            yield from dump.line(number, line.strip())
    yield from dump.unanswered()


class _Dump:
    """What is known between two lines: comments, and the command that waits for its answer."""

    def __init__(self) -> None:
        self._comments = Comments(with_seconds=False)
        self._command: bytes | None = None

    def line(self, number: int, line: str) -> list[Item]:
        """Items that this line completes."""
        if not line.startswith("#"):
            return self._bytes(number, line)
        if found := _ATR.match(line):
            reset = Reset(octets(found[1]) or b"", self._comments.slot, self._comments.reset_time())
            return [*self.unanswered(), reset]
        if found := _RECEIVED.match(line):
            self._comments.seconds = round(float(found[1]) / 1000, 9) if found[1] else None
        elif not _FRAME.match(line):
            return self._comments.read(line)
        return []

    def _bytes(self, number: int, line: str) -> list[Item]:
        raw = octets(line)
        if not raw:
            return [*self.unanswered(), damaged(number, "no hexadecimal bytes", self._comments.slot)]
        if self._command is None:
            self._command = raw
            return []
        command, self._command = self._command, None
        if len(raw) < _SHORTEST_ANSWER:
            short = damaged(number, "an answer too short for a status word", self._comments.slot)
            return [self._comments.exchange(command, None), short]
        return [self._comments.exchange(command, raw)]

    def unanswered(self) -> list[Item]:
        """The command that will get no answer any more, if there is one."""
        if self._command is None:
            return []
        command, self._command = self._command, None
        return [self._comments.exchange(command, None)]


def write(items: Iterable[Item]) -> Iterator[bytes]:
    """A dump; nothing is lost of the items but characters of remarks and readers that are not printable."""
    comments = Comments(with_seconds=False)
    for item in without_odd_answers(items):
        rows = [*comments.before(item), *_rows(item)]
        yield "".join(f"{row}\n" for row in rows).encode("utf-8", "replace")


def _rows(item: Item) -> list[str]:
    match item:
        case Reset():
            return [f"# ATR: {item.atr.hex().upper()}", f"# PROTOCOL: {_protocol(item.atr)}", "#"]
        case Remark():
            return [f"# Remark: {one_line(item.text)}"]
        case Exchange(command=b""):
            return ["# Remark: an exchange without a command"]
        case Exchange(response=bytes() as response):
            return ["# Sent", item.command.hex().upper(), _received(item.seconds), response.hex().upper()]
    return [f"# Sent, no answer: {item.command.hex().upper()}"]


def _received(seconds: float | None) -> str:
    return "# Received" if seconds is None else f"# Received in {round(seconds * 1000, 6):.15g}ms"


def _protocol(atr: bytes) -> str:
    """The first protocol that an answer to reset offers (ISO 7816-3, 8.2.3); T=0 if it offers none."""
    present, position = (atr[1] >> 4, 2) if len(atr) > 1 else (0, 2)
    position += (present & 0b111).bit_count()
    if present & 0b1000 and position < len(atr):
        return f"T={atr[position] & 0x0F}"
    return "T=0"
