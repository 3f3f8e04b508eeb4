"""The center's schedule: which object's packet goes on the air next (transmitter 24).

Every object has its share of the air time, and its packets are spread evenly over it. Its symbols go on and on
rather than round and round, so a terminal that is switched on at any moment needs K packets, whichever they are.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import ceil

from apdu.errors import InputError
from broadcast.cipher_key import CipherKey
from broadcast.fountain import FountainEncoder
from broadcast.packets import MAX_ESI, Packet

__all__ = ["Carousel", "CarouselStatistics", "ObjectStatistics", "OnAir"]

_NEWEST_DELTA_SHARE = 2 / 3
"""Of the air time of deltas, what the newest has where there are more: most terminals need no other."""
_WHOLE_AIR = 1_000_000
"""The air time in the parts in which it is handed out."""
_SURPLUS = 2
"""Packets of a recording beyond its redundancy: with two more than K symbols one decoding in a million fails."""
_MAX_REDUNDANCY = 8.0
_CYCLE_PASSES = 8
"""Times K symbols after which the same come again; of short objects at least _CYCLE_LEAST."""
_CYCLE_LEAST = 1024


@dataclass(frozen=True, slots=True)
class OnAir:
    """An object on the air: a full list (span 0) or a delta from the edition ``span`` before, sealed with a key.

    Symbols of two seals do not mix: whoever seals the same list again, though nothing in it has changed, spoils what
    terminals have collected. So the sealed bytes must stay the same as long as the edition is on the air.
    """

    edition: int
    span: int
    key: CipherKey
    sealed: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ObjectStatistics:
    """An object, its share of the air time (0 to 1), and what was sent of it.

    ``pass_bytes`` are the bytes of K packets, without what a bearer adds.
    """

    edition: int
    span: int
    key: int
    symbols: int
    pass_bytes: int
    share: float
    packets: int

    @property
    def kind(self) -> str:
        """``full`` or ``delta``."""
        return "delta" if self.span else "full"

    @property
    def passes(self) -> int:
        """How often K packets of it were begun."""
        return -(-self.packets // self.symbols)

    @property
    def bytes(self) -> int:
        """Bytes of all packets sent."""
        return self.packets * self.pass_bytes // self.symbols

    def expected_seconds(self, bits_per_second: float, loss: float) -> float:
        """Mean time until a terminal that is switched on at a random moment has this object.

        ``bits_per_second`` is what the bearer carries of packets; ``loss`` is the part of them that is lost, from 0
        to less than 1. Raises InputError for other numbers.
        """
        if not (bits_per_second > 0 and 0 <= loss < 1):
            raise InputError("the bits per second must be more than 0, and the loss from 0 to less than 1")
        return self.pass_bytes * 8 / (self.share * (1 - loss) * bits_per_second)


@dataclass(frozen=True, slots=True)
class CarouselStatistics:
    """What was sent so far, object by object in the order in which the carousel was given them."""

    objects: tuple[ObjectStatistics, ...]

    @property
    def packets(self) -> int:
        """Packets sent of all objects."""
        return sum(one.packets for one in self.objects)

    @property
    def bytes(self) -> int:
        """Bytes sent of all objects."""
        return sum(one.bytes for one in self.objects)

    def expected_seconds(self, bits_per_second: float, loss: float) -> tuple[float, ...]:
        """For each object the mean time until a terminal has it; see ObjectStatistics.expected_seconds."""
        return tuple(one.expected_seconds(bits_per_second, loss) for one in self.objects)


class _Stream:
    """The packets of one object, without end."""

    def __init__(self, on_air: OnAir, symbol_size: int, weight: int) -> None:
        self.on_air = on_air
        self.weight = weight
        self.credit = 0
        self.sent = 0
        self._esi = 0
        self._encoder = FountainEncoder(on_air.sealed, symbol_size)
        self.symbols = self._encoder.K
        # Nobody who loses less than 7 packets of 8 needs more, and what is made stays within 8 times the object.
        self._cycle = min(max(_CYCLE_PASSES * self.symbols, _CYCLE_LEAST), MAX_ESI + 1)

    def _packet(self, esi: int) -> bytes:
        on_air = self.on_air
        packet = Packet(on_air.edition & 0xFFFF, on_air.span, self.symbols, esi, self._encoder.symbol(esi))
        return packet.encode(on_air.key.packet_key)

    def next(self) -> bytes:
        """The next packet on the air."""
        esi, self._esi = self._esi, (self._esi + 1) % self._cycle
        self.sent += 1
        return self._packet(esi)

    def source(self) -> list[bytes]:
        """The K source packets."""
        self.sent += self.symbols
        return [self._packet(esi) for esi in range(self.symbols)]


def _order(on_air: OnAir) -> tuple[bool, int, int]:
    """Deltas first, the newest and shortest of them before the others."""
    return on_air.span == 0, -on_air.edition, on_air.span


def _share(one: OnAir, objects: Sequence[OnAir], delta_share: float) -> float:
    """What an object has of the air time of its key; every key has as much of it as any other."""
    of_key = [other for other in objects if other.key.number == one.key.number]
    of_kind = [other for other in of_key if (other.span == 0) == (one.span == 0)]
    share = 1.0
    if len(of_kind) < len(of_key):
        share = delta_share if one.span else 1 - delta_share
    if not one.span or len(of_kind) == 1:
        return share / len(of_kind)
    is_newest = one is min(of_kind, key=_order)
    return share * (_NEWEST_DELTA_SHARE if is_newest else (1 - _NEWEST_DELTA_SHARE) / (len(of_kind) - 1))


def _name(on_air: OnAir) -> tuple[int, int, int]:
    """What packets tell objects apart by."""
    return on_air.key.number, on_air.edition & 0xFFFF, on_air.span


class Carousel:
    """What is on the air of one group, until the next edition: make another carousel then."""

    def __init__(self, objects: Sequence[OnAir], symbol_size: int, delta_share: float = 1 / 3) -> None:
        """Plan the air time: ``delta_share`` (between 0 and 1) for deltas, the rest for full lists.

        Raises InputError for no objects, for two that packets cannot tell apart, and where FountainEncoder does.
        """
        if not objects:
            raise InputError("there is nothing to broadcast; publish an edition first")
        if not 0 < delta_share < 1:
            raise InputError(f"the share of deltas must be between 0 and 1, not {delta_share}")
        if any(one.edition < 1 or not 0 <= one.span <= 0xFF for one in objects):
            raise InputError("editions on the air are numbered from 1, and a delta spans at most 255 of them")
        if len({_name(one) for one in objects}) < len(objects):
            raise InputError("two objects on the air have the same edition, span and key")
        shares = [_share(one, objects, delta_share) for one in objects]
        weights = [max(1, round(share * _WHOLE_AIR)) for share in shares]
        self._streams = [_Stream(one, symbol_size, weight) for one, weight in zip(objects, weights, strict=True)]
        self._symbol_size = symbol_size
        self._total = sum(weights)

    def packets(self) -> Iterator[bytes]:
        """Yield packets without end: each object's evenly spread over the air time, according to its share."""
        while True:
            for stream in self._streams:
                stream.credit += stream.weight
            stream = max(self._streams, key=lambda stream: stream.credit)
            stream.credit -= self._total
            yield stream.next()

    def burst(self, redundancy: float = 1.25) -> list[bytes]:
        """Return a finite recording: K times ``redundancy`` (1 to 8) and 2 packets of each object, deltas first.

        The next recording goes on where this one ends, so what one lacks another gives. Raises InputError.
        """
        if not 1 <= redundancy <= _MAX_REDUNDANCY:
            raise InputError(f"the redundancy must be from 1 to {_MAX_REDUNDANCY:.0f}, not {redundancy}")
        in_order = sorted(self._streams, key=lambda stream: _order(stream.on_air))
        return [stream.next() for stream in in_order for _ in range(ceil(stream.symbols * redundancy) + _SURPLUS)]

    def bundle(self) -> list[list[bytes]]:
        """Return for each object, in the order given, its K source packets: all that a lossless line needs."""
        return [stream.source() for stream in self._streams]

    @property
    def statistics(self) -> CarouselStatistics:
        """What was handed out so far."""
        return CarouselStatistics(tuple(self._statistics_of(stream) for stream in self._streams))

    def _statistics_of(self, stream: _Stream) -> ObjectStatistics:
        one, share = stream.on_air, stream.weight / self._total
        pass_bytes = stream.symbols * (self._symbol_size + Packet.FRAME)
        return ObjectStatistics(one.edition, one.span, one.key.number, stream.symbols, pass_bytes, share, stream.sent)
