"""What a text form with ``#`` comments cannot say otherwise is said in comments: times, readers, remarks, blanks.

Readers of those forms skip comments. Written before the entry that they are about::

    # Using saifu virtual reader 00 00
    # Time: 1795309766.368841
    # Seconds: 0.000247
    # Redacted: command 5 13
    # Sent, no answer: 00B2010400
    # Remark: the card was taken out
"""

import math
import re
from collections.abc import Iterator

from apdu.trace.forms.text import octets
from apdu.trace.model import Exchange, Item, Remark

__all__ = ["Comments", "one_line"]

_LONGEST = 900
"""Characters of a remark that are written: cardpeek reads lines of up to 1023 bytes."""
_KNOWN = re.compile(r"# ?(Using|Time:|Seconds:|Redacted:|Remark:|Sent, no answer:) ?(.*)")
_BLANK = re.compile(r"(command|response) (\d{1,6}) (\d{1,6})$")
_NUMBER = re.compile(r"-?\d{1,20}(\.\d{1,20})?(e[+-]\d{1,3})?$")


def one_line(text: str) -> str:
    """A remark as one line of printable characters."""
    line = "".join(character if character.isprintable() else " " for character in text).strip()
    return line if len(line.encode("utf-8", "replace")) <= _LONGEST else line[: _LONGEST // 4] + "…"


class Comments:
    """Reads and writes them; the reader (``# Using``) holds until the next one."""

    def __init__(self, with_seconds: bool = True) -> None:
        """Begin without any; without seconds for a form that tells itself how long answers took."""
        self._with_seconds = with_seconds
        self.slot = ""
        self.time: float | None = None
        self.seconds: float | None = None
        self.redacted: tuple[tuple[str, int, int], ...] = ()

    def read(self, line: str) -> list[Item]:
        """Take a comment in; gives the item that it is, if it is one."""
        found = _KNOWN.match(line)
        word, text = found.groups() if found else ("", line.lstrip("#").strip())
        match word:
            case "Using":
                self.slot = text
            case "Time:":
                self.time = _number(text)
            case "Seconds:":
                self.seconds = _number(text)
            case "Redacted:":
                self._blank(text)
            case "Sent, no answer:":
                command = octets(text)
                return [self.exchange(command, None)] if command else []
            case _:
                return [Remark(text, self.slot, self._taken_time())] if text else []
        return []

    def _blank(self, text: str) -> None:
        if (found := _BLANK.match(text)) and len(self.redacted) < _LONGEST:
            self.redacted += ((found[1], int(found[2]), int(found[3])),)

    def _taken_time(self) -> float | None:
        time, self.time = self.time, None
        return time

    def exchange(self, command: bytes, response: bytes | None) -> Exchange:
        """The exchange that the comments until here were about."""
        sizes = {"command": len(command), "response": len(response or b"")}
        blanks = tuple(blank for blank in self.redacted if blank[1] < blank[2] <= sizes[blank[0]])
        seconds, self.seconds, self.redacted = self.seconds, None, ()
        return Exchange(command, response, self.slot, self._taken_time(), seconds, blanks)

    def reset_time(self) -> float | None:
        """The time of a reset."""
        return self._taken_time()

    def before(self, item: Item) -> Iterator[str]:
        """Comments that belong before an entry."""
        if one_line(item.slot) != self.slot:
            self.slot = one_line(item.slot)
            yield f"# Using {self.slot}"
        if item.time is not None:
            yield f"# Time: {_written(item.time)}"
        if isinstance(item, Exchange):
            if item.seconds is not None and (self._with_seconds or item.response is None):
                yield f"# Seconds: {_written(item.seconds)}"
            yield from (f"# Redacted: {part} {start} {end}" for part, start, end in item.redacted)


def _number(text: str) -> float | None:
    return value if _NUMBER.match(text) and math.isfinite(value := float(text)) else None


def _written(value: float) -> str:
    return repr(float(value))
