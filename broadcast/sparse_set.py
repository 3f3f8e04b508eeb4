"""Entropy coding of a sorted set of numbers, such as the listed serials among the issued ones.

A set out of a known universe and of a known count is written in about log2 C(universe, count) bits. Runs of
numbers (stolen batches) are cut out first and cost next to nothing. The bytes are specified in
docs/reference/blacklist-format.md, "A coded set"; nothing in them depends on floating point.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, repeat
from math import e, lgamma, log, log2
from typing import Any, Self

import numpy as np
from constriction import stream
from numpy.typing import NDArray

from apdu.errors import FormatError

__all__ = ["MAX_MEMBERS", "MAX_UNIVERSE", "Numbers", "decode_set", "encode_set", "information_limit"]

Numbers = NDArray[np.uint32]
"""Numbers of a set in ascending order, each once."""
MAX_MEMBERS = 1 << 22
"""Most members of a coded set; the decoder's memory is in proportion to the members (about 70 bytes each)."""
MAX_UNIVERSE = 1 << 32

_Wide = NDArray[np.int64]
_FIXED = 62
"""Binary places of the powers that make a table; products fit 128 bits, values a signed 64-bit integer."""
_PRECISION = 24
"""Frequencies of a table sum to 2^24; the range coder's precision."""
_CHUNK = 16
"""Most raw bits in one symbol."""
_WIDTHS = (0, 1, 4, 16)
"""Longest hole within a batch, as the search for batches tries it."""
_ROUNDS = 3
_STATE = 64
"""Bits of the range coder's state."""
_PIECE = 1 << 16
"""Symbols that are made or taken at a time, which keeps what is only on its way small."""


def information_limit(universe: int, count: int) -> float:
    """The bits that no code of all sets of this count can do without: log2 C(universe, count).

    ValueError when count is not between 0 and universe.
    """
    return (lgamma(universe + 1) - lgamma(count + 1) - lgamma(universe - count + 1)) / log(2)


def encode_set(members: Numbers, universe: int) -> bytes:
    """Write a set; ValueError unless ascending, unique, below ``universe`` (at most 2^32) and at most 2^22 members."""
    _check(members, universe)
    wide = members.astype(np.int64)
    return _write(_Parts.divide(wide, universe, _find_batches(wide, universe)))


def decode_set(raw: bytes, universe: int, count: int) -> Numbers:
    """Read a set of exactly ``count`` members; FormatError unless ``raw`` is what an encoder writes for it."""
    if not 0 <= count <= min(universe, MAX_MEMBERS) or universe > MAX_UNIVERSE:
        raise FormatError(f"no coded set has {count} members out of {universe}")
    parts = _read(raw, universe, count)
    if _write(parts) != raw:
        raise FormatError("a coded set is not as an encoder writes it, or something follows it")
    return parts.join()


def _check(members: Numbers, universe: int) -> None:
    if members.dtype != np.uint32 or members.ndim != 1 or members.size > MAX_MEMBERS:
        raise ValueError(f"a set is one row of at most {MAX_MEMBERS} numbers of type uint32")
    if not 0 <= universe <= MAX_UNIVERSE or (members.size and members[-1] >= universe):
        raise ValueError(f"a set goes beyond its universe of {universe}, or that beyond 2^32")
    if not np.all(members[1:] > members[:-1]):
        raise ValueError("the members of a set are not ascending")


# --- where the batches are ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Batches:
    """Stretches of members, by the indices of their first and last members; they neither touch nor overlap."""

    first: _Wide
    last: _Wide
    lengths: _Wide

    @classmethod
    def none(cls) -> Self:
        """No batches at all."""
        empty = np.empty(0, np.int64)
        return cls(empty, empty, empty)

    @classmethod
    def between(cls, members: _Wide, width: int) -> Self:
        """All stretches of two members and more without a hole longer than ``width``."""
        breaks = np.flatnonzero(np.diff(members) > width + 1)
        first, last = np.append(0, breaks + 1), np.append(breaks, members.size - 1)
        several = first < last
        first, last = first[several], last[several]
        return cls(first, last, members[last] - members[first] + 1)

    @property
    def listed(self) -> _Wide:
        """How many members each has."""
        return self.last - self.first + 1

    def sums(self) -> tuple[int, int, int]:
        """Batches, their length in all, and the members in them."""
        return self.first.size, int(self.lengths.sum()), int(self.listed.sum())

    def bits(self, universe: int, count: int) -> float:
        """What a set with these batches takes, closely."""
        batches, length, listed = self.sums()
        bits = information_limit(universe - length, count - listed)
        if batches:
            bits += information_limit(universe - length + 1, batches) + information_limit(length - 1, batches - 1)
            bits += information_limit(length, listed) + 2 * log2(listed) + 2 * log2(length - listed + 1)
        return bits

    def worthwhile(self, kept: Self, universe: int, count: int) -> Self:
        """Those that save bits, at the densities inside and outside the batches that were kept before."""
        batches, length, listed = kept.sums()
        inside, outside = (listed + 0.5) / (length + 1), (count - listed + 0.5) / (universe - length + 1)
        price = log2((universe - length + 1) / batches) + log2(length / batches) + 2 * log2(e)
        member, hole = log2(inside / outside), log2((1 - inside) / (1 - outside))
        good = self.listed * member + (self.lengths - self.listed) * hole > price
        return type(self)(self.first[good], self.last[good], self.lengths[good])


def _candidates(members: _Wide, universe: int) -> Iterator[_Batches]:
    yield _Batches.none()
    for width in _WIDTHS:
        kept = every = _Batches.between(members, width)
        for _ in range(_ROUNDS):
            if not kept.first.size:
                break
            kept = every.worthwhile(kept, universe, members.size)
            yield kept


def _find_batches(members: _Wide, universe: int) -> _Batches:
    return min(_candidates(members, universe), key=lambda batches: batches.bits(universe, members.size))


# --- a set in parts ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Parts:
    """A set as it is written: the batches, the members within them, and the rest, each numbered by itself.

    ``starts``: how many numbers outside all batches come before each batch. ``ends``: lengths of the batches
    added up. ``inside``: members, counted through the batches laid end to end. ``outside``: members, counted
    through the universe with the batches cut out. So batches can neither overlap nor leave the universe.
    """

    universe: int
    starts: _Wide
    ends: _Wide
    inside: _Wide
    outside: _Wide

    @property
    def length(self) -> int:
        """Length of all batches together."""
        return int(self.ends[-1]) if self.ends.size else 0

    @classmethod
    def divide(cls, members: _Wide, universe: int, batches: _Batches) -> Self:
        """Cut the batches out of a set."""
        if not batches.first.size:
            return cls(universe, batches.first, batches.first, batches.first, members)
        ends = np.cumsum(batches.lengths)
        firsts = members[batches.first]
        starts = firsts - (ends - batches.lengths)
        steps = np.zeros(members.size + 1, np.int8)
        steps[batches.first] += 1
        steps[batches.last + 1] -= 1
        within = np.cumsum(steps[:-1], dtype=np.int8) > 0
        inside, outside = members[within], members[~within]
        cut = np.append(0, ends)[np.searchsorted(firsts, outside)]
        return cls(universe, starts, ends, inside - np.repeat(starts, batches.listed), outside - cut)

    def join(self) -> Numbers:
        """The members, in the numbers of the whole universe."""
        if not self.starts.size:
            return self.outside.astype(np.uint32)
        inside = self.inside + self.starts[np.searchsorted(self.ends, self.inside, "right")]
        outside = self.outside + np.append(0, self.ends)[np.searchsorted(self.starts, self.outside, "right")]
        # both are ascending, and a stable sort merges what is
        return np.sort(np.concatenate((inside, outside)), kind="stable").astype(np.uint32)


def _write(parts: _Parts) -> bytes:
    writer, length, batches = _Writer(), parts.length, parts.starts.size
    writer.number(batches)
    if batches:
        writer.number(parts.inside.size - batches)
        writer.number(length - parts.inside.size)
        writer.plain(parts.starts, parts.universe - length + 1)
        writer.plain(parts.ends[:-1] - 1, length - 1)
        writer.plain(parts.inside, length)
    writer.plain(parts.outside, parts.universe - length)
    return writer.finish()


def _read(raw: bytes, universe: int, count: int) -> _Parts:
    reader = _Reader(raw)
    batches = reader.number(count)
    if not batches:
        none = np.empty(0, np.int64)
        return _Parts(universe, none, none, none, reader.plain(universe, count))
    listed = batches + reader.number(count - batches)
    length = listed + reader.number(universe - count)
    if batches > universe - length + 1:
        raise FormatError("a coded set has more batches than fit beside each other")
    starts = reader.plain(universe - length + 1, batches)
    ends = np.append(reader.plain(length - 1, batches - 1) + 1, length)
    inside = reader.plain(length, listed)
    return _Parts(universe, starts, ends, inside, reader.plain(universe - length, count - listed))


# --- the range coder ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Gaps:
    """How the gaps of a plain set are coded: raw low bits, the escape symbol, and the table for what is above."""

    low_bits: int
    escape: int
    model: Any


@lru_cache(maxsize=16)
def _gaps(universe: int, count: int) -> _Gaps:
    """The coding for ``count`` members, at most half of the universe; their gaps are close to geometric."""
    mean = universe // count
    low_bits = max(0, mean.bit_length() - 6)
    escape = 16 * (mean >> low_bits) + 16
    frequencies = np.diff(_cumulative(universe, count, low_bits, escape))
    # with weights that are the frequencies less 1 the library's scale is 1.0, and its table exactly this one
    return _Gaps(low_bits, escape, stream.model.Categorical((frequencies - 1).astype(np.float64), perfect=False))


def _cumulative(universe: int, count: int, low_bits: int, escape: int) -> list[int]:
    """The table: for every symbol the sum of the frequencies before it, and 2^24 at the end."""
    one, free = 1 << _FIXED, (1 << _PRECISION) - escape - 1
    power = ((universe - count) << _FIXED) // (universe + 1)
    for _ in range(low_bits):
        power = power * power >> _FIXED
    beyond = accumulate(repeat(power, escape), lambda left, factor: left * factor >> _FIXED, initial=one)
    return [j + ((one - left) * free >> _FIXED) for j, left in enumerate(beyond)] + [1 << _PRECISION]


def _fields(width: int) -> Iterator[tuple[int, int]]:
    """Shift and size of the fields that raw bits are coded in, the highest first."""
    return ((shift, min(_CHUNK, width - shift)) for shift in range((width - 1) // _CHUNK * _CHUNK, -1, -_CHUNK))


def _others(members: _Wide, universe: int) -> _Wide:
    """The numbers of the universe that are not members; for sets of half the universe and more."""
    absent = np.ones(universe, np.bool_)
    absent[members] = False
    return np.flatnonzero(absent)


def _pieces(count: int) -> Iterator[slice]:
    return (slice(start, min(start + _PIECE, count)) for start in range(0, count, _PIECE))


class _Writer:
    """The coder on the encoder's side."""

    def __init__(self) -> None:
        self._coder = stream.queue.RangeEncoder()

    def bits(self, values: _Wide, width: int) -> None:
        """Write the low bits of each value."""
        for shift, size in _fields(width):
            model = stream.model.Uniform(1 << size)
            for piece in _pieces(values.size):
                self._coder.encode((values[piece] >> shift & (1 << size) - 1).astype(np.int32), model)

    def number(self, value: int) -> None:
        """Write a number from 0 to 2^33 - 2, small ones in few bits."""
        width = (value + 1).bit_length() - 1
        self.bits(np.array([1] * width + [0]), 1)
        self.bits(np.array([value + 1]), width)

    def plain(self, members: _Wide, universe: int) -> None:
        """Write a set whose count the reader knows."""
        coded = members if 2 * members.size <= universe else _others(members, universe)
        if not coded.size:
            return
        gaps = np.diff(coded, prepend=-1)
        gaps -= 1
        law = _gaps(universe, coded.size)
        self.number(sum(int(((gaps[piece] >> law.low_bits) // law.escape).sum()) for piece in _pieces(gaps.size)))
        for piece in _pieces(gaps.size):
            self._high(gaps[piece] >> law.low_bits, law)
        self.bits(gaps, law.low_bits)

    def _high(self, high: _Wide, law: _Gaps) -> None:
        escapes = high // law.escape
        symbols = np.full(high.size + int(escapes.sum()), law.escape, np.int32)
        symbols[np.arange(high.size) + np.cumsum(escapes)] = high - escapes * law.escape
        self._coder.encode(symbols, law.model)

    def finish(self) -> bytes:
        """The shortest bytes that, with zeros after them, lie in the coder's interval; the least of them."""
        state: tuple[int, tuple[int, int]] = self._coder.pos()
        position, (lower, span) = state
        words = np.asarray(self._coder.get_compressed(), np.uint32).astype(">u4").tobytes()
        sealed = words.ljust(4 * position + _STATE // 8, b"\x00")
        value = int.from_bytes(sealed)
        start = value - (value - lower) % (1 << _STATE)
        shortest = next(top for zeros in range(_STATE, -1, -8) if (top := -(-start >> zeros) << zeros) < start + span)
        return shortest.to_bytes(len(sealed)).rstrip(b"\x00")


class _Reader:
    """The coder on the decoder's side; every method raises FormatError, and none believes more than it is told."""

    def __init__(self, raw: bytes) -> None:
        words = np.frombuffer(raw.ljust(-(-len(raw) // 4) * 4, b"\x00"), ">u4")
        self._coder = stream.queue.RangeDecoder(words.astype(np.uint32))

    def _symbols(self, model: object, count: int) -> NDArray[np.int32]:
        try:
            return np.asarray(self._coder.decode(model, count), np.int32)
        except AssertionError:  # how the library says that the bytes are in no symbol's interval
            raise FormatError("a coded set has bytes that no encoder writes") from None

    def bits(self, values: _Wide, width: int) -> _Wide:
        """Put so many bits, which are read, behind each value."""
        for _, size in _fields(width):
            model = stream.model.Uniform(1 << size)
            for piece in _pieces(values.size):
                values[piece] = values[piece] << size | self._symbols(model, piece.stop - piece.start)
        return values

    def number(self, most: int) -> int:
        """Read a number of at most this."""
        width = 0
        while self.bits(np.zeros(1, np.int64), 1)[0]:
            width += 1
            if 1 << width > most + 1:
                raise FormatError(f"a coded set has a number above {most}")
        value = int(self.bits(np.ones(1, np.int64), width)[0]) - 1
        if value > most:
            raise FormatError(f"a coded set has {value} where at most {most} can be")
        return value

    def plain(self, universe: int, count: int) -> _Wide:
        """Read a set of ``count`` members out of ``universe``."""
        if 2 * count > universe:
            return _others(self._sparse(universe, universe - count), universe)
        return self._sparse(universe, count)

    def _sparse(self, universe: int, count: int) -> _Wide:
        if not count:
            return np.empty(0, np.int64)
        law = _gaps(universe, count)
        high = self._high(law, count, (universe - count >> law.low_bits) // law.escape)
        members = self.bits(high, law.low_bits)  # the gaps until they are added up, all in one place
        members += 1
        np.cumsum(members, out=members)
        members -= 1
        if members[-1] >= universe:
            raise FormatError(f"a coded set has a member beyond its universe of {universe}")
        return members

    def _high(self, law: _Gaps, count: int, most: int) -> _Wide:
        escapes = self.number(most)
        symbols = np.empty(count + escapes, np.int64)
        for piece in _pieces(symbols.size):
            symbols[piece] = self._symbols(law.model, piece.stop - piece.start)
        is_end = symbols != law.escape
        if np.count_nonzero(is_end) != count or not is_end[-1]:
            raise FormatError("a coded set has another number of escapes than it says")
        return np.diff(np.cumsum(symbols)[is_end], prepend=0) if escapes else symbols
