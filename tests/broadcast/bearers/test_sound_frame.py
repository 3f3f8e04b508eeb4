"""Frames: found in any stream, mended up to their bound, and nothing else taken for one."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apdu.errors import FormatError
from broadcast.bearers.sound_frame import (
    DAMAGE,
    LARGEST_SYMBOL,
    OVERHEAD,
    PARITY,
    SYNC,
    FrameScanner,
    frame,
    frame_size,
)
from broadcast.packets import Packet

SYMBOL = 16
PACKET = Packet.FRAME + SYMBOL
packets = st.binary(min_size=PACKET, max_size=PACKET)
pieces = st.one_of(
    packets.map(frame),
    st.tuples(packets.map(frame), st.integers(0, PACKET)).map(lambda cut: cut[0][: cut[1]]),
    st.binary(max_size=60),
    st.just(SYNC * 20),
)
"""What a receiver hears: frames, beginnings of frames, noise, and sync words alone."""


def scanned(stream: bytes) -> list[bytes]:
    return FrameScanner(SYMBOL).feed(stream)


def spoilt(framed: bytes, places: set[int], seed: int = 0) -> bytes:
    """A frame with other bytes at some places."""
    random = Random(seed)
    return bytes(byte ^ random.randint(1, 255) if i in places else byte for i, byte in enumerate(framed))


def times(one: int, other: int) -> int:
    """Product in GF(2^8) with the polynomial 11D, by shifting and adding."""
    product = 0
    for bit in range(8):
        product ^= one << bit if other >> bit & 1 else 0
    for bit in range(14, 7, -1):
        product ^= 0x11D << bit - 8 if product >> bit & 1 else 0
    return product


@given(packets)
def test_behind_the_sync_word_a_frame_is_a_reed_solomon_codeword(packet: bytes) -> None:
    framed, root = frame(packet), 1
    assert framed.startswith(SYNC + packet)
    assert len(framed) == PACKET + OVERHEAD == frame_size(SYMBOL)
    for _ in range(PARITY):
        value = 0
        for byte in framed[len(SYNC) :]:
            value = times(value, root) ^ byte
        assert value == 0
        root = times(root, 2)


@given(packets, st.sets(st.integers(len(SYNC), PACKET + OVERHEAD - 1), max_size=DAMAGE), st.integers())
def test_so_many_wrong_bytes_are_mended(packet: bytes, places: set[int], seed: int) -> None:
    assert scanned(spoilt(frame(packet), places, seed)) == [packet]


@pytest.mark.parametrize("bits", [(0,), (15,), (3, 9)])
def test_a_damaged_sync_word_is_known_and_costs_mending(bits: tuple[int, ...]) -> None:
    packet = bytes(range(PACKET))
    sync = int.from_bytes(SYNC)
    for bit in bits:
        sync ^= 1 << bit
    for wrong, found in ((DAMAGE - len(bits), [packet]), (DAMAGE - len(bits) + 1, [])):
        framed = spoilt(frame(packet), set(range(4, 4 + wrong)))
        assert scanned(sync.to_bytes(2) + framed[2:]) == found


def test_a_frame_beyond_mending_is_dropped_and_the_next_found() -> None:
    one, other = frame(bytes(PACKET)), bytes(range(PACKET))
    assert scanned(spoilt(one, set(range(2, 20))) + frame(other)) == [other]
    assert scanned(spoilt(one, {0, 1}) + frame(other)) == [other]


@pytest.mark.parametrize("place", range(0, PACKET + OVERHEAD, 7))
def test_a_byte_lost_or_added_costs_one_frame(place: int) -> None:
    one, other = frame(bytes(range(PACKET))), bytes(range(1, PACKET + 1))
    for damaged in (one[:place] + one[place + 1 :], one[:place] + b"\x99" + one[place:]):
        assert scanned(damaged + frame(other))[-1] == other


def test_a_packet_full_of_sync_words_and_sync_words_before_it_do_not_hide_it() -> None:
    packet = (SYNC * PACKET)[:PACKET]
    assert scanned(SYNC * 3 + frame(packet) + SYNC * 3 + frame(packet)) == [packet] * 2


@given(st.lists(pieces, max_size=8).map(b"".join), st.lists(st.integers(0, 500), max_size=12))
def test_any_stream_gives_the_same_packets_however_it_is_cut(stream: bytes, cuts: list[int]) -> None:
    scanner, places = FrameScanner(SYMBOL), sorted({0, *cuts, len(stream)})
    parts = [stream[start:end] for start, end in zip(places, [*places[1:], len(stream)], strict=True)]
    assert [packet for part in parts for packet in scanner.feed(part)] == scanned(stream)


@given(st.lists(st.tuples(packets, st.binary(max_size=3)), max_size=6))
def test_every_whole_frame_is_found(sent: list[tuple[bytes, bytes]]) -> None:
    stream = b"".join(noise.replace(SYNC[:1], b"").replace(SYNC[1:], b"") + frame(packet) for packet, noise in sent)
    assert scanned(stream) == [packet for packet, _ in sent]


def test_random_bytes_are_no_frames() -> None:
    assert FrameScanner(184).feed(Random(5).randbytes(300_000)) == []


def test_what_does_not_fit_a_codeword_is_refused() -> None:
    largest = bytes(Packet.FRAME + LARGEST_SYMBOL)
    assert FrameScanner(LARGEST_SYMBOL).feed(frame(largest)) == [largest]
    for packet in (b"", largest + b"\0"):
        with pytest.raises(FormatError, match="does not fit"):
            frame(packet)
    for size in (0, LARGEST_SYMBOL + 1):
        with pytest.raises(FormatError, match="does not fit"):
            FrameScanner(size)
