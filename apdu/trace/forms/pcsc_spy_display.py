"""What the program pcsc-spy prints: names and arguments of the calls of PC/SC, bytes as a dump.

It tells how long calls took, not when they were; ``--diffable`` not even that. With ``--thread`` every line begins
with the number of its thread.
"""

import re
from collections.abc import Iterable, Iterator

from apdu.trace.forms.calls import Call, Calls
from apdu.trace.forms.text import head_lines, lines, take_octets
from apdu.trace.model import Item

__all__ = ["NAME", "detect", "read"]

NAME = "pcsc-spy display"

_HEAD = re.compile(r"^ *(\(t\d+\) )?SCard[A-Z]\w+\n *(\(t\d+\) )? i \w+", re.MULTILINE)
_THREAD = re.compile(r" *\(t(\d{1,6})\) ")
_CALL = re.compile(r"SCard?[A-Z]\w{1,40}$")
_ARGUMENT = re.compile(r" [io]  ?(?:Atr length|[\w.]+):? ?(.*)$")
_NUMBER = re.compile(r"\w* ?\((0x[0-9A-F]{1,16})\)$|(0x[0-9A-F]{1,16}) \(.*\)$")
_SIZE = re.compile(r" [io] b(?:Send|Recv)Length .*\((\d{1,6})\)$")
_ROW = re.compile(r" [io]  [0-9A-F]{4,8} (.*)$")
_END = re.compile(r" => (.*) \((?:\w+ )?\[?(0x[0-9A-F]{1,16})\]?\) *\[(\d{1,9}\.\d{1,9}|\?\?\.\?\?)\]$")
_MOST_THREADS = 64


def detect(head: bytes) -> bool:
    """Whether the output begins like this."""
    return bool(_HEAD.search(head_lines(head)))


def read(chunks: Iterable[bytes]) -> Iterator[Item]:
    """Items of what was printed."""
    calls, threads = Calls(), dict[str, _Printed]()
    for line in lines(chunks):
        found = _THREAD.match(line)
        thread, text = (found[1], line[found.end() :]) if found else ("", line)
        if _CALL.match(text):
            yield from _given_up(calls, threads.pop(thread, None))
            if len(threads) >= _MOST_THREADS:
                yield from _given_up(calls, threads.pop(next(iter(threads))))
            threads[thread] = _Printed(text)
        elif (printed := threads.get(thread)) and (end := _END.match(text)):
            del threads[thread]
            seconds = None if "?" in end[3] else float(end[3])
            yield from calls.returned(printed.call(), end[2], end[1], seconds)
        elif printed:
            printed.line(text)
    for printed in threads.values():
        yield from _given_up(calls, printed)


def _given_up(calls: Calls, printed: "_Printed | None") -> list[Item]:
    return calls.given_up(printed.call() if printed else None)


class _Printed:
    """A call as it is printed: arguments line by line, buffers row by row."""

    def __init__(self, name: str) -> None:
        self._call = Call(name)
        self._missing = 0
        self._raw = bytearray()

    def line(self, text: str) -> None:
        """Take in an argument or a row of a buffer."""
        if (row := _ROW.match(text)) and self._missing:
            raw = take_octets(row[1], self._missing) or b""
            self._raw += raw
            self._missing = self._missing - len(raw) if raw else 0
            if not self._missing:
                self._argument(self._raw.hex(" ").upper())
        elif size := _SIZE.match(text):
            self._missing, self._raw = int(size[1]), bytearray()
        elif argument := _ARGUMENT.match(text):
            self._argument(argument[1])

    def _argument(self, value: str) -> None:
        found = _NUMBER.match(value)
        self._call.add(found[1] or found[2] if found else value)

    def call(self) -> Call:
        """The call with all arguments that were printed."""
        return self._call
