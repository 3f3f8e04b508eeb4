"""What scriptor of pcsc-tools prints: ``> command``, then ``< answer : meaning``, sixteen bytes a line."""

import re
from collections.abc import Iterable, Iterator

from apdu.trace.forms.pairing import Pairing
from apdu.trace.forms.text import damaged, head_lines, lines, octets
from apdu.trace.model import Exchange, Item, Remark, Reset

__all__ = ["NAME", "detect", "read"]

NAME = "scriptor"

_HEAD = re.compile(
    r"^(Using (T=[01]|an unknown) protocol|Using given card reader: |No reader given: using |> RESET$|< [OK][KO]: "
    r"|< ([0-9A-F]{2} )+: )",
    re.MULTILINE,
)
_READER = re.compile(r"(?:Using given card reader: |No reader given: using )(.+)")
_LONGEST_ANSWER = 1 << 18
"""Characters that one answer may have: as many as 65538 bytes take, and some."""


def detect(head: bytes) -> bool:
    """Whether a session begins like this."""
    return bool(_HEAD.search(head_lines(head)))


def read(chunks: Iterable[bytes]) -> Iterator[Item]:
    """Items of a session; the reader is known if its messages (standard error) are in the same file."""
    session = _Session()
    for number, line in enumerate(lines(chunks), 1):
        yield from session.line(number, line)
    yield from session.pairing.rest()


class _Session:
    """What is known between two lines: the reader, the command that waits, and the rows of its answer."""

    def __init__(self) -> None:
        self.pairing = Pairing()
        self._slot = ""
        self._rows: list[str] = []
        self._size = 0

    def line(self, number: int, line: str) -> list[Item]:
        """Items that this line completes."""
        if found := _READER.match(line):
            self._slot = found[1]
            return []
        if line.startswith("> "):
            return self._command(number, line[2:])
        if line.startswith(("< OK:", "< KO:")):
            return self._reset(line)
        if line.startswith("< ") or self._rows:
            return self._answer(number, line)
        return []

    def _command(self, number: int, text: str) -> list[Item]:
        self._forget_rows()
        if text.strip() == "RESET":
            return self.pairing.unanswered()
        if command := octets(text):
            return self.pairing.sent(Exchange(command, None, self._slot))
        return [*self.pairing.unanswered(), damaged(number, "a command that is not hexadecimal", self._slot)]

    def _forget_rows(self) -> None:
        self._rows.clear()
        self._size = 0

    def _reset(self, line: str) -> list[Item]:
        if line.startswith("< OK:"):
            return [Reset(octets(line[5:]) or b"", self._slot)]
        return [Remark(f"the reset failed: {line[5:].strip()}", self._slot)]

    def _answer(self, number: int, line: str) -> list[Item]:
        row, end, _ = line.removeprefix("< ").partition(" : ")
        self._rows.append(row)
        self._size += len(row) + 1
        if not end and self._size <= _LONGEST_ANSWER:
            return []
        response = octets(" ".join(self._rows))
        self._forget_rows()
        if response is None or not end:
            return [
                *self.pairing.unanswered(),
                damaged(number, "an answer that is not hexadecimal, or never ends", self._slot),
            ]
        return self.pairing.answered(response)
