"""Coded sets a second time, slowly and in plain Python, written from docs/reference/blacklist-format.md alone.

The writer takes any batches and any symbols, so that tests can make what no encoder writes.
"""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

__all__ = ["Batch", "Table", "Writer", "gap_table", "read_set", "write_set"]

Table = Sequence[int]
"""Cumulative frequencies: 0 first, 2^24 last."""
Batch = tuple[int, int]
"""First number and length."""

FULL, ONE, WORD = 1 << 24, 1 << 62, 1 << 32
START = (1 << 64) - 1


def raw_table(width: int) -> Table:
    """Table of ``width`` raw bits, at most 16."""
    return range(0, FULL + 1, FULL >> width)


def raw_fields(width: int) -> list[tuple[int, int]]:
    """Shift and width of each field of raw bits, the highest first."""
    fields = [(shift, min(16, width - shift)) for shift in range(0, width, 16)]
    return fields[::-1]


def gap_table(universe: int, count: int) -> tuple[int, int, Table]:
    """Low bits b, escape symbol m and table for the gaps of ``count`` members."""
    mean, b = universe // count, 0
    while mean >> b > 63:
        b += 1
    m = 16 * (mean >> b) + 16
    q = (universe - count) * ONE // (universe + 1)
    for _ in range(b):
        q = q * q // ONE
    table, s = [], ONE
    for j in range(m + 1):
        table.append(j + (ONE - s) * (FULL - m - 1) // ONE)
        s = s * q // ONE
    return b, m, [*table, FULL]


class Reader:
    """Decodes symbol by symbol, in 64 bits."""

    def __init__(self, raw: bytes) -> None:
        self.raw, self.used = raw, 0
        self.lower, self.range = 0, START
        self.point = self.word() * WORD + self.word()

    def word(self) -> int:
        four = self.raw[self.used : self.used + 4]
        self.used += 4
        return int.from_bytes(four + bytes(4 - len(four)))

    def symbol(self, table: Table) -> int:
        scale = self.range // FULL
        place = (self.point - self.lower) % WORD**2 // scale
        if place >= FULL:
            raise ValueError("the point is in no symbol's interval")
        s = bisect_right(table, place) - 1
        self.lower = (self.lower + scale * table[s]) % WORD**2
        self.range = scale * (table[s + 1] - table[s])
        if self.range < WORD:
            self.lower, self.range = self.lower * WORD % WORD**2, self.range * WORD
            self.point = self.point * WORD % WORD**2 + self.word()
        return s

    def raw_bits(self, count: int, width: int) -> list[int]:
        values = [0] * count
        for shift, size in raw_fields(width):
            values = [value + (self.symbol(raw_table(size)) << shift) for value in values]
        return values

    def number(self) -> int:
        width = 0
        while self.symbol(raw_table(1)):
            width += 1
        return (1 << width) + self.raw_bits(1, width)[0] - 1

    def plain(self, universe: int, count: int) -> list[int]:
        if 2 * count > universe:
            absent = set(self.sparse(universe, universe - count))
            return [number for number in range(universe) if number not in absent]
        return self.sparse(universe, count)

    def sparse(self, universe: int, count: int) -> list[int]:
        if count == 0:
            return []
        b, m, table = gap_table(universe, count)
        high = [0]
        for _ in range(self.number() + count):
            s = self.symbol(table)
            high[-1] += s
            if s < m:
                high.append(0)
        gaps = [(h << b) + low for h, low in zip(high, self.raw_bits(count, b), strict=False)]
        return [end - 1 for end in accumulate(gap + 1 for gap in gaps)]


def read_set(raw: bytes, universe: int, count: int) -> list[int]:
    """Decode what is known to be good."""
    reader = Reader(raw)
    k = reader.number()
    if k == 0:
        return reader.plain(universe, count)
    listed = k + reader.number()
    length = listed + reader.number()
    starts = reader.plain(universe - length + 1, k)
    ends = [end + 1 for end in reader.plain(length - 1, k - 1)] + [length]
    inside, outside = reader.plain(length, listed), reader.plain(universe - length, count - listed)
    members = [number + starts[bisect_right(ends, number)] for number in inside]
    members += [number + [0, *ends][bisect_right(starts, number)] for number in outside]
    return sorted(members)


class Writer:
    """Encodes symbol by symbol, in an interval of numbers without bound, so that nothing is carried."""

    def __init__(self) -> None:
        self.lower, self.range, self.width = 0, START, 64

    def symbol(self, table: Table, s: int) -> None:
        scale = self.range // FULL
        self.lower, self.range = self.lower + scale * table[s], scale * (table[s + 1] - table[s])
        if self.range < WORD:
            self.lower, self.range, self.width = self.lower * WORD, self.range * WORD, self.width + 32

    def raw_bits(self, values: Sequence[int], width: int) -> None:
        for shift, size in raw_fields(width):
            for value in values:
                self.symbol(raw_table(size), (value >> shift) % 2**size)

    def number(self, value: int) -> None:
        width = (value + 1).bit_length() - 1
        for bit in [1] * width + [0]:
            self.symbol(raw_table(1), bit)
        self.raw_bits([value + 1], width)

    def plain(self, members: Sequence[int], universe: int) -> None:
        if 2 * len(members) > universe:
            members = [number for number in range(universe) if number not in set(members)]
        if members:
            b, m, table = gap_table(universe, len(members))
            gaps = [member - before - 1 for before, member in zip([-1, *members], members, strict=False)]
            self.number(sum((gap >> b) // m for gap in gaps))
            for gap in gaps:
                for s in [m] * ((gap >> b) // m) + [(gap >> b) % m]:
                    self.symbol(table, s)
            self.raw_bits(gaps, b)

    def finish(self) -> bytes:
        for size in range(self.width // 8 + 1):
            unit = 1 << self.width - 8 * size
            least = -(-self.lower // unit)
            if least * unit < self.lower + self.range:
                return least.to_bytes(size)
        raise AssertionError("an interval holds a number at least")


def write_set(members: Sequence[int], universe: int, batches: Sequence[Batch] = ()) -> bytes:
    """Encode with these batches: in order, not touching, each with a member at least."""
    writer = Writer()
    ends = list(accumulate(length for _, length in batches))
    starts = [first - before for (first, _), before in zip(batches, [0, *ends], strict=False)]
    length, inside, outside = sum(length for _, length in batches), list[int](), list[int]()
    for member in members:
        j = bisect_right([first for first, _ in batches], member) - 1
        if j >= 0 and member < sum(batches[j]):
            inside.append(member - starts[j])
        else:
            outside.append(member - [0, *ends][j + 1])
    writer.number(len(batches))
    if batches:
        writer.number(len(inside) - len(batches))
        writer.number(length - len(inside))
        writer.plain(starts, universe - length + 1)
        writer.plain([end - 1 for end in ends[:-1]], length - 1)
        writer.plain(inside, length)
    writer.plain(outside, universe - length)
    return writer.finish()
