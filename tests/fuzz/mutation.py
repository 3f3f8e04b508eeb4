"""Inputs out of seeds: cut, repeated, spliced, flipped, with giant numbers and long lines."""

from collections.abc import Callable
from random import Random
from typing import NamedTuple

from tests.fuzz.targets import MOST_BYTES

__all__ = ["MOST_SIZE", "OPERATIONS", "Change", "changed", "mutated"]

MOST_SIZE = 400
"""Bytes that a change covers; lines are of any length."""
_MOST_CHANGES = 6


class Change(NamedTuple):
    """One change: where it begins, counted round and round, how much it covers, and what it may put in."""

    operation: int
    at: int
    size: int
    other: bytes


Operation = Callable[[bytearray, int, int, bytes], None]


def _cut(raw: bytearray, at: int, size: int, other: bytes) -> None:
    del other, raw[at : at + size]


def _end(raw: bytearray, at: int, size: int, other: bytes) -> None:
    del size, other, raw[at:]


def _put(raw: bytearray, at: int, size: int, other: bytes) -> None:
    del size
    raw[at:at] = other


def _replace(raw: bytearray, at: int, size: int, other: bytes) -> None:
    raw[at : at + size] = other


def _flip(raw: bytearray, at: int, size: int, other: bytes) -> None:
    del other
    raw[at] ^= 1 << size % 8


def _byte(raw: bytearray, at: int, size: int, other: bytes) -> None:
    raw[at] = other[size % len(other)] if other else size % 256


def _repeat(raw: bytearray, at: int, size: int, other: bytes) -> None:
    del other
    raw[at:at] = raw[at : at + size]


def _repeat_often(raw: bytearray, at: int, size: int, other: bytes) -> None:
    """A long line, or many lines, most of them not very many: up to the most that an input may have."""
    del other
    piece = raw[at : at + size]
    raw[at:at] = piece * min(1 << size % 8, (MOST_BYTES - len(raw)) // max(len(piece), 1))


def _move(raw: bytearray, at: int, size: int, other: bytes) -> None:
    del other
    piece = raw[at : at + size]
    del raw[at : at + size]
    to = at // 2
    raw[to:to] = piece


def _line(raw: bytearray, at: int) -> slice:
    """The line in which a place is, with its end."""
    begin = raw.rfind(b"\n", 0, at) + 1
    end = raw.find(b"\n", at) + 1
    return slice(begin, end or len(raw))


def _cut_line(raw: bytearray, at: int, size: int, other: bytes) -> None:
    del size, other, raw[_line(raw, at)]


def _repeat_line(raw: bytearray, at: int, size: int, other: bytes) -> None:
    del other
    line = _line(raw, at)
    raw[line.start : line.start] = raw[line] * (1 + size % 3)


def _number(raw: bytearray, at: int, size: int, other: bytes) -> None:
    """Another number in the place of the next one, if there is one within the line."""
    del other
    place = next((place for place in range(at, _line(raw, at).stop) if raw[place : place + 1].isdigit()), at)
    end = place
    while raw[end : end + 1].isdigit():
        end += 1
    raw[place:end] = str((size - 9) * 10 ** (size % 23)).encode()


OPERATIONS: tuple[Operation, ...] = (
    _cut,
    _end,
    _put,
    _replace,
    _flip,
    _byte,
    _repeat,
    _repeat_often,
    _move,
    _cut_line,
    _repeat_line,
    _number,
)


def changed(raw: bytearray, change: Change) -> None:
    """Make a change, in place; the input stays within its size."""
    if raw:
        OPERATIONS[change.operation](raw, change.at % len(raw), change.size, change.other)
        del raw[MOST_BYTES:]


def mutated(raw: bytes, others: tuple[bytes, ...], random: Random) -> bytes:
    """An input with some changes out of a source of chance; ``others`` is what may be put in."""
    new = bytearray(raw)
    for _ in range(random.randint(1, _MOST_CHANGES)):
        changed(new, _any_change(others, random))
    return bytes(new)


def _any_change(others: tuple[bytes, ...], random: Random) -> Change:
    other = random.choice(others)
    start = random.randrange(len(other)) if len(other) > MOST_SIZE else 0
    size = random.randrange(random.choice((2, 20, MOST_SIZE)))
    return Change(random.randrange(len(OPERATIONS)), random.randrange(MOST_BYTES), size, other[start:][:MOST_SIZE])
