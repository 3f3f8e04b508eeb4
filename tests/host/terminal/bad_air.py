"""What comes out of the air that should not, each kind by its name; and a terminal that hears it."""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from random import Random

from apdu.messages import Head
from apdu.money import currency
from broadcast.bearers.bundle import LARGEST_PACKET
from broadcast.carousel import Carousel, OnAir
from broadcast.cipher_key import CipherKey, CipherKeys
from broadcast.edition import Edition
from broadcast.modulator import modulate
from broadcast.packets import MAX_ESI, MAX_OBJECT, MAX_SYMBOLS, Packet
from host.terminal.blacklist_store import BlacklistStore
from host.terminal.listening import Listener
from host.terminal.trust import Trust
from tests.issuer import NOW, ORDERS, Issuer

ISSUER, STRANGER, OTHER_ISSUER = Issuer(), Issuer(seed=1), Issuer(number=2)
KEY, FOREIGN_KEY = CipherKey(1, bytes(range(32))), CipherKey(1, bytes(32))
DAY, SIZE = 86400, 64
Air = Iterable[bytes]


def edition(number: int, *serials: int, issuer: Issuer = ISSUER, time: int = NOW) -> Edition:
    return issuer.edition(number, *serials, time=time)


def full(content: Edition, key: CipherKey = KEY) -> OnAir:
    return OnAir(content.number, 0, key, modulate(content.content(), key))


def step(older: Edition, newer: Edition, key: CipherKey = KEY) -> OnAir:
    return OnAir(newer.number, newer.number - older.number, key, modulate(newer.delta_from(older), key))


def sent(*objects: OnAir) -> list[bytes]:
    """The source packets of each object: with all of them it is whole, with one less it is not."""
    return [packet for one in objects for packet in Carousel([one], SIZE).bundle()[0]]


def flipped(raw: bytes, bit: int) -> bytes:
    return (int.from_bytes(raw) ^ 1 << bit).to_bytes(len(raw))


def retagged(packet: bytes, **changes: int) -> bytes:
    """What somebody of the group makes of a packet: something else, with a tag that is right."""
    one = Packet.decode(packet)
    fields = {"edition": one.edition, "span": one.span, "symbols": one.symbols, "esi": one.esi} | changes
    return Packet(**fields, symbol=one.symbol).encode(KEY.packet_key)


class Terminal:
    """A terminal with edition 1, which lists card 5; its clock stands at NOW."""

    def __init__(self, folder: Path, number: int = 1) -> None:
        self.folder, self.told, self.now = folder, list[str](), NOW
        self.store = BlacklistStore.import_trust(folder, Trust(1, currency("EUR"), ISSUER.keys).encode())
        self.store.import_cipher_keys(CipherKeys(1, "terminals", (KEY,)).encode())
        if number:
            self.store.import_edition(edition(1, 5).encode())
        self.listener = Listener(self.store, self.told.append, lambda: self.now)

    def hear(self, air: Air) -> None:
        for packet in air:
            self.listener.take(packet)

    def lists(self) -> list[int]:
        """What a program finds that is started now."""
        kept = BlacklistStore(self.folder).edition
        return kept.serials.tolist() if kept else []


# --- by somebody without the key of the group --------------------------------------------------------------

NEW = edition(2, 5, 6)


def truncated_packets() -> Air:
    return (packet[:size] for packet in sent(full(NEW)) for size in range(len(packet)))


def every_bit_of_every_packet_flipped() -> Air:
    return (flipped(packet, bit) for packet in sent(full(NEW)) for bit in range(8 * len(packet)))


def all_but_one_of_the_packets_in_disorder_and_again_and_again() -> Air:
    packets = sent(full(NEW))[1:] * 20
    Random(1).shuffle(packets)
    return packets


def packets_with_bytes_behind_them() -> Air:
    return (packet + bytes(more) for packet in sent(full(NEW)) for more in (1, 8, 64, LARGEST_PACKET, 65_000))


def another_group() -> Air:
    return sent(full(NEW, FOREIGN_KEY), step(edition(1, 5), NEW, FOREIGN_KEY))


def half_of_the_traffic_forged_and_the_other_half_too_old() -> Air:
    random, old = Random(2), list(islice(Carousel([full(edition(1, 5))], SIZE).packets(), 300))
    forged = [packet[:7] + random.randbytes(len(packet) - 7) for packet in old]
    return chain.from_iterable(zip(old, forged, strict=True))


def an_older_edition() -> Air:
    return sent(full(edition(1, 6)), OnAir(0x10000, 0, KEY, modulate(edition(1, 6).content(), KEY)))


def expired() -> Air:
    late = edition(2, 5, 6, time=NOW - 2 * DAY)
    return sent(full(late), step(edition(1, 5), late))


# --- by somebody who holds the key of the group ------------------------------------------------------------


def a_sealed_edition_cut_at_every_byte() -> Air:
    sealed = full(NEW).sealed
    return (packet for size in range(len(sealed)) for packet in sent(OnAir(2, 0, KEY, sealed[:size])))


def every_bit_of_a_sealed_edition_flipped() -> Air:
    sealed = full(NEW).sealed
    return (packet for bit in range(8 * len(sealed)) for packet in sent(OnAir(2, 0, KEY, flipped(sealed, bit))))


def every_bit_of_a_content_flipped() -> Air:
    """Sealed anew each time: only the signature and the root speak against it."""
    contents = (NEW.content(), NEW.delta_from(edition(1, 5)))
    return (
        packet
        for span, content in enumerate(contents)
        for bit in range(8 * len(content))
        for packet in sent(OnAir(2, span, KEY, modulate(flipped(content, bit), KEY)))
    )


def mixed_from_two_editions() -> Air:
    """Packets of edition 2 and of edition 3 under one name; heads with other lists; steps with other heads."""
    two, three = sent(full(NEW)), sent(full(edition(3, 7, 8)))
    yield from (retagged(pair[at % 2], edition=3) for at, pair in enumerate(zip(two, three, strict=False)))
    yield from sent(full(Edition(edition(3, 7).head, 9, NEW.tree)))
    head = len(NEW.head.raw) + 1
    yield from sent(
        OnAir(2, 1, KEY, modulate(b"\1" + NEW.head.raw + edition(2, 7).delta_from(edition(1, 5))[head:], KEY))
    )


def labelled_as_another_edition() -> Air:
    for number in (3, 1000, 0x8000):
        yield from (retagged(packet, edition=number) for packet in sent(full(NEW)))
    yield from (retagged(packet, span=2) for packet in sent(step(edition(1, 5), NEW)))


def oversize() -> Air:
    """The longest object, the most symbols, the longest symbols; each begun, and the longest object ended."""
    tags = KEY.packet_key
    yield Packet(2, 0, MAX_SYMBOLS, MAX_ESI, bytes(8)).encode(tags)
    yield Packet(2, 0, 64, 0, bytes(65_528)).encode(tags)
    yield Packet(2, 0, 1, 0, b"\xff" * 1024).encode(tags)
    yield from Carousel([OnAir(2, 0, KEY, Random(3).randbytes(MAX_OBJECT))], 16_384).bundle()[0]
    raw = (2).to_bytes(2) + b"\0" + (0xFFFF).to_bytes(2) + bytes(2) + bytes(8)
    yield raw + Packet(2, 0, 1, 0, bytes(8)).encode(tags)[-6:]


def another_issuer() -> Air:
    return sent(*(full(edition(2, 6, issuer=issuer)) for issuer in (STRANGER, OTHER_ISSUER)))


def a_list_of_everybody_in_few_bytes() -> Air:
    """A true head says how many are listed; with that many cards given out, the list is all of them: no bytes."""
    many = edition(2, *range(1, 60_000, 2))
    content = b"\0" + many.head.raw + (many.tree.count - 1).to_bytes(4)
    return sent(OnAir(2, 0, KEY, modulate(content, KEY)))


def heads_that_nobody_signed() -> Air:
    head = Head(ORDERS, 1, 0xFFFFFFFF, NOW, NOW + DAY, 0, bytes(24))
    return sent(full(Edition.make(STRANGER.orders, head, [6])))


def ever_new_objects_that_do_not_end() -> Air:
    return (Packet(at % 30_000 + 2, at % 3, 2 + at % 500, 1, bytes(SIZE)).encode(KEY.packet_key) for at in range(3000))


def ever_new_steps_that_wait_for_what_never_comes() -> Iterator[bytes]:
    """With a true head, whose step from anywhere cannot be judged before that is there."""
    true = edition(200, 6)
    for base in range(180, 200):
        content = b"\1" + true.head.raw + base.to_bytes(4) + bytes(12) + bytes(3_000_000)
        yield from Carousel([OnAir(200, 200 - base, KEY, modulate(content, KEY))], 16_384).bundle()[0]


NOISE: dict[str, Callable[[], Air]] = {
    make.__name__: make
    for make in (
        truncated_packets,
        every_bit_of_every_packet_flipped,
        all_but_one_of_the_packets_in_disorder_and_again_and_again,
        packets_with_bytes_behind_them,
        another_group,
        half_of_the_traffic_forged_and_the_other_half_too_old,
        an_older_edition,
        expired,
        a_sealed_edition_cut_at_every_byte,
        every_bit_of_a_sealed_edition_flipped,
        every_bit_of_a_content_flipped,
        mixed_from_two_editions,
        labelled_as_another_edition,
        oversize,
        another_issuer,
        a_list_of_everybody_in_few_bytes,
        heads_that_nobody_signed,
        ever_new_objects_that_do_not_end,
        ever_new_steps_that_wait_for_what_never_comes,
    )
}
"""The kinds by name."""
