"""What goes over the air in tests: packets of an object, and what a terminal makes of them."""

from collections.abc import Iterable, Iterator
from itertools import islice
from random import Random

from broadcast.carousel import Carousel, OnAir
from broadcast.cipher_key import CipherKey
from broadcast.packets import Packet
from broadcast.reception import Reception, ReceptionStatistics, Whole

KEY, NEXT_KEY = CipherKey(1, bytes(range(32))), CipherKey(2, bytes(range(1, 33)))
STRANGER = CipherKey(1, bytes(32))
SEALED = Random(5).randbytes(20_000)
SIZE = 184


def packets(
    edition: int = 7, span: int = 0, sealed: bytes = SEALED, key: CipherKey = KEY, size: int = SIZE
) -> Iterator[bytes]:
    """Packets of one object without end."""
    return Carousel([OnAir(edition, span, key, sealed)], size).packets()


def some(count: int, source: Iterator[bytes]) -> list[bytes]:
    return [next(source) for _ in range(count)]


def first_whole(reception: Reception, raws: Iterable[bytes]) -> Whole | None:
    """The first of some thousand packets to complete an object: an endless source must not make a test endless."""
    return next((whole for raw in islice(raws, 5000) if (whole := reception.take(raw))), None)


def assert_every_packet_is_counted_once(count: ReceptionStatistics) -> None:
    parts = count.malformed + count.forged + count.old + count.duplicate + count.crowded + count.useful
    assert count.received == parts


def forged(edition: int, count: int, symbols: int = 4, size: int = SIZE) -> list[bytes]:
    """What somebody with the group's key can send: tags that are right on symbols that are not."""
    random = Random(edition)
    return [
        Packet(edition & 0xFFFF, 0, symbols, esi, random.randbytes(size)).encode(KEY.packet_key) for esi in range(count)
    ]
