"""Exchanges as a whole: the parts of a chain and the pieces of an answer joined, so that how they went is no matter.

A trace at T=0 and one at T=1 of the same business are the same then.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

from apdu.command import CHAINING, SECURE_MESSAGING, CommandApdu
from apdu.commands import Ins
from apdu.errors import FormatError
from apdu.trace.model import Exchange, Remark
from apdu.trace.reading import Reading

__all__ = ["MOST_SLOTS", "whole"]

MOST_SLOTS = 256
"""Slots in which something may be unfinished at one time; the oldest is given out as it is."""
_MOST_BYTES = 65_535
"""The most that a chain or an answer in pieces may have; it is cut into several there."""
_MORE, _AGAIN = 0x61, 0x6C


class _Open(NamedTuple):
    """An exchange whose answer, or whose chain, goes on."""

    reading: Reading
    item: Exchange
    chained: bool = False


def whole(readings: Iterable[Reading]) -> Iterator[Reading]:
    """Resets, and exchanges as if each had been one command and one answer; remarks are left out.

    The number is that of the first item; what the status word says is told by the last.
    """
    joining = _Joining()
    for reading in readings:
        if isinstance(reading.item, Exchange):
            yield from joining.exchange(reading, reading.item)
        elif not isinstance(reading.item, Remark):
            yield from joining.close(reading.item.slot)
            yield reading
    for slot in list(joining.slots):
        yield from joining.close(slot)


class _Joining:
    """What is unfinished, by slot."""

    def __init__(self) -> None:
        self.slots: dict[str, _Open] = {}

    def close(self, slot: str) -> Iterator[Reading]:
        """Give out what nothing follows."""
        if (found := self.slots.pop(slot, None)) is not None:
            yield found.reading._replace(item=found.item)

    def exchange(self, reading: Reading, item: Exchange) -> Iterator[Reading]:
        """One more exchange."""
        before = self.slots.get(item.slot)
        joined = _joined(before, reading, item) if before is not None else None
        if joined is None:
            yield from self.close(item.slot)
            joined = reading._replace(item=item)
        else:
            del self.slots[item.slot]
        if (found := _unfinished(joined, item)) is None:
            yield joined
            return
        if len(self.slots) >= MOST_SLOTS:
            yield from self.close(next(iter(self.slots)))
        self.slots[item.slot] = found


def _joined(before: _Open, reading: Reading, item: Exchange) -> Reading | None:
    """Both as one; None if the second does not belong to the first."""
    if before.chained:
        return _longer(before, reading, item)
    first, answer = before.item, before.item.response or b""
    if _fetches(item.command):
        if item.response is None or len(answer) + len(item.response) > _MOST_BYTES:
            return None
        same = replace(first, response=answer[:-2] + item.response, seconds=_sum(first.seconds, item.seconds))
        unexpected = before.reading.unexpected + reading.unexpected
        return before.reading._replace(item=same, outcome=reading.outcome, plain=reading.plain, unexpected=unexpected)
    if answer[-2:-1] == bytes((_AGAIN,)) and item.command[:-1] == first.command[: len(item.command) - 1]:
        return reading._replace(number=before.reading.number)
    return None


def _longer(before: _Open, reading: Reading, item: Exchange) -> Reading | None:
    """The next part of a chain, with the data of those before."""
    try:
        first, part = CommandApdu.decode(before.item.command), CommandApdu.decode(item.command)
        if (part.cla | CHAINING, part.ins, part.p1, part.p2) != (first.cla, first.ins, first.p1, first.p2):
            return None
        command = part.with_data(first.data + part.data).encode()
    except FormatError:
        return None
    return reading._replace(number=before.reading.number, item=replace(item, command=command))


def _unfinished(joined: Reading, last: Exchange) -> _Open | None:
    """What may go on after the exchange ``last``."""
    item, answer = joined.item, last.response or b""
    if not isinstance(item, Exchange) or len(item.command) < 4:
        return None
    if answer[-2:-1] in (bytes((_MORE,)), bytes((_AGAIN,))):
        return _Open(joined, item)
    cla = item.command[0]
    if cla & CHAINING and not cla & (SECURE_MESSAGING | 0x60) and answer == b"\x90\x00":
        return _Open(joined, item, chained=True)
    return None


def _fetches(command: bytes) -> bool:
    return len(command) > 3 and command[1] == Ins.GET_RESPONSE and not command[0] & 0x80


def _sum(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other
