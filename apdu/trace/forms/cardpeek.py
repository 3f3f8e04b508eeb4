"""The replay files of cardpeek: ``R:<ATR>`` for a reset, ``C:<command>:<status word>:<data>`` for an exchange.

cardpeek itself reads lines of up to 1023 characters. Comments say what the form has no place for.
"""

import re
from collections.abc import Iterable, Iterator

from apdu.trace.forms.comments import Comments, one_line
from apdu.trace.forms.odd_answers import without_odd_answers
from apdu.trace.forms.text import damaged, head_lines, lines, octets
from apdu.trace.model import Exchange, Item, Remark, Reset

__all__ = ["NAME", "detect", "read", "write"]

NAME = "cardpeek"

_HEAD = re.compile(r"\A# cardpeek |^(R:([0-9A-F]{2})*|C:([0-9A-F]{2})+:[0-9A-F]{4}:([0-9A-F]{2})*)$", re.MULTILINE)
_FRAME = re.compile(r"# (cardpeek .*|version .*|end)$")
_SHORTEST_ANSWER = 2


def detect(head: bytes) -> bool:
    """Whether a file begins like this."""
    return bool(_HEAD.search(head_lines(head)))


def read(chunks: Iterable[bytes]) -> Iterator[Item]:
    """Items of a file."""
    comments = Comments()
    for number, line in enumerate(lines(chunks), 1):
        if _FRAME.match(line) or not line.strip():
            continue
        if line.startswith("#"):
            yield from comments.read(line)
        else:
            yield _entry(number, line, comments)


def _entry(number: int, line: str, comments: Comments) -> Item:
    kind, *parts = line.strip().split(":", 4)
    raws = [octets(part) for part in parts]
    match kind, raws:
        case "R", [bytes() as atr]:
            return Reset(atr, comments.slot, comments.reset_time())
        case "C", [bytes() as command, bytes() as status, bytes() as data] if command and len(status) == 2:
            return comments.exchange(command, data + status)
    return damaged(number, "neither a reset nor an exchange", comments.slot, comments.reset_time())


def write(items: Iterable[Item]) -> Iterator[bytes]:
    """A file; nothing is lost of the items but characters of remarks and readers that are not printable."""
    yield b"# cardpeek trace file\n# version 0\n"
    comments = Comments()
    for item in without_odd_answers(items):
        rows = [*comments.before(item), _row(item)]
        yield "".join(f"{row}\n" for row in rows).encode("utf-8", "replace")
    yield b"# end\n"


def _row(item: Item) -> str:
    match item:
        case Reset():
            return f"R:{item.atr.hex().upper()}"
        case Remark():
            return f"# Remark: {one_line(item.text)}"
        case Exchange(command=b""):
            return "# Remark: an exchange without a command"
        case Exchange(command=command, response=bytes() as response):
            return f"C:{command.hex()}:{response[-2:].hex()}:{response[:-2].hex()}".upper()
    return f"# Sent, no answer: {item.command.hex().upper()}"
