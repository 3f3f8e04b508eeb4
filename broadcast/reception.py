"""What a terminal's receiver (21) does with packets: keep the authentic and new ones, and put objects together.

Whatever comes in costs bounded time and memory, and nothing of it is believed: what comes out is sealed and
signed, and is judged by the demodulator and the blacklist store.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import NamedTuple

from apdu.errors import FormatError
from broadcast.cipher_key import CipherKey
from broadcast.fountain import FountainDecoder
from broadcast.packets import Packet, distance, is_authentic

__all__ = [
    "HALF_LIFE_SECONDS",
    "IDLE_SECONDS",
    "MAX_SYMBOL_BYTES",
    "MAX_UNDER_WAY",
    "Progress",
    "Reception",
    "ReceptionStatistics",
    "Whole",
    "is_newer",
]

MAX_UNDER_WAY = 6
"""Objects that are put together at once."""
MAX_SYMBOL_BYTES = 16 * 1024 * 1024
"""Bytes of symbols that all objects under way may come to."""
IDLE_SECONDS = 3600.0
"""Time without a useful packet after which an object gives way to any other."""
HALF_LIFE_SECONDS = 600.0
"""Time after which what was heard of an object counts half."""

_MAX_FINISHED = 64
"""Finished objects that are remembered."""
_MAX_HEARD = 64
"""Objects whose packets are counted."""
_ENOUGH = 8
"""Packets in a row that must be of no newer edition, where there is no full list to tell which one is the newest."""
_PRIORITY = 2
"""How many times as much as from an object under way must be heard from another before that one takes its place."""


def is_newer(one: int, other: int) -> bool:
    """Whether one 16-bit edition number comes after another (serial numbers, RFC 1982).

    Exact while they are less than 32768 editions apart: 3.7 years of hourly ones. Of two at that very distance
    neither is newer.
    """
    return distance(one, other) > 0


@dataclass(frozen=True, slots=True)
class Whole:
    """A sealed object that has come together; ``key`` is the number of the cipher key whose tags it had."""

    edition16: int
    span: int
    key: int
    sealed: bytes


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an object is: ``have`` of ``need`` symbols; ``need`` and a few more may be necessary."""

    edition16: int
    span: int
    have: int
    need: int


@dataclass(slots=True)
class ReceptionStatistics:
    """Packets by what became of them; every one received is counted under one of the six after that.

    ``old`` ones are of no newer edition than the one in force, ``duplicate`` ones of an object or a symbol that is
    here, ``crowded`` ones of an object for which there was no room. Then objects: ``whole`` ones were handed on;
    ``spoiled`` ones did not come together, or were refused afterwards.
    """

    received: int = 0
    malformed: int = 0
    forged: int = 0
    old: int = 0
    duplicate: int = 0
    crowded: int = 0
    useful: int = 0
    whole: int = 0
    spoiled: int = 0


class _Identity(NamedTuple):
    """What packets must have in common to belong to one object."""

    key: int
    edition: int
    span: int
    symbols: int
    symbol_size: int

    @property
    def name(self) -> tuple[int, int]:
        """Edition and span: whoever has one object of this name needs no other."""
        return self.edition, self.span


@dataclass(slots=True)
class _Assembly:
    """An object under way, and when it last had a useful packet."""

    decoder: FountainDecoder
    useful_at: float


class _Traffic:
    """How much was heard lately of which object: packets, of which each counts half after HALF_LIFE_SECONDS.

    Whatever comes, an object that has more than one packet in 65 is among the 64 that are counted (Misra and Gries,
    Finding repeated elements, 1982).
    """

    def __init__(self) -> None:
        self._counts: dict[_Identity, float] = {}
        self._counted_at = 0.0

    def count(self, who: _Identity, now: float) -> None:
        """Count a packet; of too many objects each loses one for it."""
        fading = 0.5 ** ((now - self._counted_at) / HALF_LIFE_SECONDS)
        self._counted_at = now
        self._counts = {one: count * fading for one, count in self._counts.items()}
        if who in self._counts or len(self._counts) < _MAX_HEARD:
            self._counts[who] = self._counts.get(who, 0.0) + 1.0
        else:
            self._counts = {one: count - 1.0 for one, count in self._counts.items() if count > 1.0}

    def of(self, who: _Identity) -> float:
        """Packets of an object, as they count now."""
        return self._counts.get(who, 0.0)


class Reception:
    """Takes packets of every bearer, in any order, damaged, forged or repeated, and gives whole objects."""

    def __init__(self, keys: Sequence[CipherKey], current: int = 0, now: Callable[[], float] = monotonic) -> None:
        """Receive for the holder of these cipher keys (51).

        ``current`` is the number of the edition in force, 0 for none; ``now`` gives seconds.
        """
        self.statistics = ReceptionStatistics()
        self.heard: int | None = None
        """The newest edition (16 bits) of any authentic packet so far, taken or not; None before the first."""
        self._full: int | None = None
        self._since = 0
        self._keys = tuple(keys)
        self._current = current
        self._now = now
        self._under_way: dict[_Identity, _Assembly] = {}
        self._traffic = _Traffic()
        self._finished: dict[tuple[int, int], None] = {}

    @property
    def current(self) -> int:
        """Number of the edition in force, all bits of it; set it when another comes in force. 0: none yet."""
        return self._current

    @current.setter
    def current(self, number: int) -> None:
        """Drop what is not newer than the edition now in force."""
        if number == self._current:
            return
        self._current, self._since = number, 0
        self._under_way = {who: what for who, what in self._under_way.items() if self._is_new(who.edition)}
        self._finished = {name: None for name in self._finished if self._is_new(name[0])}

    @property
    def keys(self) -> Sequence[CipherKey]:
        """The cipher keys of the group; set them when there are others."""
        return self._keys

    @keys.setter
    def keys(self, keys: Sequence[CipherKey]) -> None:
        """Drop what came under a key that is held no more."""
        gone = {key.number for key in self._keys if key not in keys}
        self._keys = tuple(keys)
        self._under_way = {who: what for who, what in self._under_way.items() if who.key not in gone}

    @property
    def has_newest(self) -> bool:
        """Whether the edition in force is the newest on the air, as far as can be heard.

        Steps to older editions are on the air too, but only the newest edition's full list. Where full lists are left
        out, two packets of three are of the newest step: 8 in a row without it do not come by chance.
        """
        if self._current == 0 or self.heard != self._current & 0xFFFF:
            return False
        return self._full == self.heard or self._since >= _ENOUGH

    @property
    def progress(self) -> list[Progress]:
        """The objects under way, in the order in which they began."""
        return [
            Progress(who.edition, who.span, what.decoder.have, what.decoder.need)
            for who, what in self._under_way.items()
            if who.name not in self._finished
        ]

    def take(self, raw: bytes) -> Whole | None:
        """Take what a bearer gave; return the object that is whole with it, if any. Never raises.

        A delta that does not begin at the edition in force is given too: it may be part of a chain.
        """
        self.statistics.received += 1
        try:
            packet = Packet.decode(raw)
        except FormatError:
            self.statistics.malformed += 1
            return None
        key = self._key_of(raw)
        if key is None:
            self.statistics.forged += 1
            return None
        self._hear(packet)
        if not self._is_new(packet.edition):
            self.statistics.old += 1
        elif (packet.edition, packet.span) in self._finished:
            self.statistics.duplicate += 1
        else:
            return self._collect(key, packet)
        return None

    def _hear(self, packet: Packet) -> None:
        """Keep what an authentic packet says of the newest edition on the air."""
        self._since += 1
        if self.heard is None or is_newer(packet.edition, self.heard):
            self.heard, self._since = packet.edition, 0
        if packet.span == 0 and packet.edition == self.heard:
            self._full = self.heard

    def forget(self, whole: Whole) -> None:
        """Begin an object anew that was refused behind us: its seal or signature was bad."""
        name = whole.edition16, whole.span
        if name in self._finished:
            del self._finished[name]
            self.statistics.spoiled += 1

    def _key_of(self, raw: bytes) -> int | None:
        """Number of the key that a packet's tag was made with."""
        return next((key.number for key in self._keys if is_authentic(raw, key.packet_key)), None)

    def _is_new(self, edition: int) -> bool:
        return self._current == 0 or is_newer(edition, self._current & 0xFFFF)

    def _collect(self, key: int, packet: Packet) -> Whole | None:
        """Add an authentic packet to its object."""
        who = _Identity(key, packet.edition, packet.span, packet.symbols, len(packet.symbol))
        if who not in self._under_way:
            self._traffic.count(who, self._now())
            if not self._begin(who):
                self.statistics.crowded += 1
                return None
        assembly = self._under_way[who]
        had = assembly.decoder.have
        sealed = assembly.decoder.add(packet.esi, packet.symbol)
        if assembly.decoder.have == had:
            self.statistics.duplicate += 1
            return None
        self.statistics.useful += 1
        if had:  # the first was counted before there was a place
            self._traffic.count(who, self._now())
        assembly.useful_at = self._now()
        if assembly.decoder.spoiled:
            # the tags were right: somebody of the group forges, or the center sealed the object twice
            del self._under_way[who]
            self.statistics.spoiled += 1
        return None if sealed is None else self._finish(who, sealed)

    def _finish(self, who: _Identity, sealed: bytes) -> Whole:
        del self._under_way[who]
        if len(self._finished) >= _MAX_FINISHED:
            del self._finished[next(iter(self._finished))]
        self._finished[who.name] = None
        self.statistics.whole += 1
        return Whole(who.edition, who.span, who.key, sealed)

    def _begin(self, newcomer: _Identity) -> bool:
        """Make room for a new object by dropping those worth less; False if it is worth less itself.

        Every second place goes by the edition, the newest first. Anybody can record authentic packets and send them
        again later, of hundreds of objects, and as many as they like; but a recording is never newer than what is on
        the air, so it cannot take these places. Forging a newer edition needs the key of the group. Whoever has it
        can take them with a packet of each false object in an hour, when one that nothing came for gives way.
        That hour is one of the clock: counted in packets, it would pass as fast as an attacker sends.

        So the other places go by what was heard of an object lately, taken up or not. To keep what is on the
        air out of these, too, somebody with the key must send more than half as much, for each of them, all the time.
        """
        candidates = [*self._under_way, newcomer]
        by_edition = sorted(candidates, key=lambda who: self._worth(who, candidates), reverse=True)
        by_traffic = sorted(by_edition, key=self._share, reverse=True)
        kept = self._fitting(by_edition, by_traffic)
        if newcomer not in kept:
            return False
        self._under_way = {who: what for who, what in self._under_way.items() if who in kept}
        decoder = FountainDecoder(newcomer.symbols, newcomer.symbol_size)
        self._under_way[newcomer] = _Assembly(decoder, self._now())
        return True

    @staticmethod
    def _fitting(*orders: list[_Identity]) -> set[_Identity]:
        """Fill the places from these orders in turn."""
        kept, bytes_kept, queues = set[_Identity](), 0, [list(order) for order in orders]
        while len(kept) < MAX_UNDER_WAY and any(queues):
            for queue in queues:
                while queue and len(kept) < MAX_UNDER_WAY:
                    who = queue.pop(0)
                    size = who.symbols * who.symbol_size
                    if who not in kept and bytes_kept + size <= MAX_SYMBOL_BYTES:
                        kept.add(who)
                        bytes_kept += size
                        break
        return kept

    def _share(self, who: _Identity) -> tuple[bool, float]:
        """How much of the air an object has, if it is wanted; one under way counts more, so that it can end."""
        factor = _PRIORITY if who in self._under_way else 1
        return who.name not in self._finished, factor * self._traffic.of(who)

    def _worth(self, who: _Identity, candidates: list[_Identity]) -> tuple[int, ...]:
        """How much an object deserves its place; the greater tuple the more.

        First whether it is wanted and alive, then the edition. Of the same edition the delta from the edition in
        force, then the full list, then the shorter delta; of the same list the newer key, then what is further on.
        """
        assembly = self._under_way.get(who)
        is_alive = assembly is None or self._now() - assembly.useful_at < IDLE_SECONDS
        newer = sum(is_newer(other.edition, who.edition) for other in candidates)
        fits = who.span > 0 and self._current > 0 and (who.edition - who.span - self._current) & 0xFFFF == 0
        have = assembly.decoder.have if assembly else 0
        return who.name not in self._finished, is_alive, -newer, fits, -who.span, who.key, have
