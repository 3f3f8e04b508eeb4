"""A bundle gives back just what was packed, and refuses everything else."""

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apdu.errors import FormatError
from broadcast.bearers.bundle import LARGEST_BUNDLE, Bundle, pack, unpack
from broadcast.packets import MAX_OBJECT
from tests.broadcast.bearers.objects import object_packets

Spoil = Callable[[list[bytes]], list[bytes]]


@given(st.integers(0, 0xFFFF), st.integers(0, 0xFF), st.integers(1, 4000), st.integers(1, 128), st.randoms())
def test_packets_in_any_order_come_back_in_theirs(
    edition: int, span: int, size: int, eighth: int, random: Random
) -> None:
    packets = object_packets(edition, span, size, 8 * eighth)
    mixed = random.sample(packets, len(packets))
    assert unpack(pack(mixed)) == packets


def test_bundle_adds_two_bytes() -> None:
    packets = object_packets(7, 1, 1000)
    assert len(pack(packets)) == 2 + sum(map(len, packets))


def test_longest_object_fits() -> None:
    packets = object_packets(7, 0, MAX_OBJECT)
    assert len(pack(packets)) < LARGEST_BUNDLE


def test_nothing_is_no_bundle() -> None:
    with pytest.raises(FormatError):
        pack([])


@pytest.mark.parametrize("spoil", [
    lambda packets: packets[:-1],
    lambda packets: [*packets, packets[0]],
    lambda packets: [*packets[:-1], packets[0]],
    lambda packets: [*packets[:-1], packets[-1][:-1]],
    lambda packets: [*packets[:-1], object_packets(8, 1, 1000)[-1]],
    lambda packets: [packet[:20] for packet in packets],
    lambda packets: [packet + b"x" for packet in packets],
])  # fmt: skip
def test_what_is_not_one_whole_object_is_not_packed(spoil: Spoil) -> None:
    packets = object_packets(7, 1, 1000)
    with pytest.raises(FormatError):
        pack(spoil(packets))


def test_bundle_of_too_many_bytes_is_neither_packed_nor_unpacked() -> None:
    count = LARGEST_BUNDLE // 1037 + 1
    packets = [b"\x00\x07\x00" + count.to_bytes(2) + esi.to_bytes(2) + bytes(1030) for esi in range(count)]
    with pytest.raises(FormatError, match="too many"):
        pack(packets)
    with pytest.raises(FormatError, match="does not have"):
        unpack((1037).to_bytes(2) + b"".join(packets))


@pytest.mark.parametrize("cut", range(1, 200))
def test_truncated_bundle_is_refused(cut: int) -> None:
    with pytest.raises(FormatError):
        unpack(pack(object_packets(7, 1, 1000))[:-cut])


@given(st.binary(max_size=300))
def test_any_bytes_end_in_packets_or_a_format_error(raw: bytes) -> None:
    try:
        packets = unpack(raw)
    except FormatError:
        return
    assert pack(packets) == raw


@given(st.integers(0, 2 + 6 * 197 - 1), st.integers(1, 255))
def test_changed_framing_is_refused_and_other_changes_come_through(place: int, change: int) -> None:
    raw = bytearray(pack(object_packets(7, 1, 1000)))
    raw[place] ^= change
    is_framing = place < 2 or (place - 2) % 197 < 7
    try:
        assert b"".join(unpack(bytes(raw))) == raw[2:]
        assert not is_framing
    except FormatError:
        assert is_framing


def test_objects_are_sorted_out() -> None:
    full, delta, older = object_packets(7, 0, 3000), object_packets(7, 1, 300), object_packets(6, 1, 300)
    packets = [*delta, *full, *older]
    Random(1).shuffle(packets)
    bundles = {(one.edition, one.span): one.raw for one in Bundle.sort(packets)}
    assert bundles == {(7, 0): pack(full), (7, 1): pack(delta), (6, 1): pack(older)}


def test_objects_of_two_keys_in_one_channel_are_refused() -> None:
    with pytest.raises(FormatError, match=r"differ in size|one key|source packets"):
        Bundle.sort([*object_packets(7, 1, 300), *object_packets(7, 1, 300, seed=1)])
    with pytest.raises(FormatError, match="one key"):
        Bundle.sort([*object_packets(7, 1, 300), *object_packets(7, 1, 600, seed=1)])


def test_nothing_on_the_air_is_no_bundles() -> None:
    assert Bundle.sort([]) == []
