"""The packet: its bytes are as written down, no bit of it can be changed, and anything else is refused."""

import hashlib
import hmac
from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from apdu.errors import FormatError
from broadcast.cipher_key import CipherKey
from broadcast.packets import MAX_OBJECT, MAX_SYMBOL_SIZE, MAX_SYMBOLS, Packet, is_authentic

KEY = CipherKey(1, bytes(range(32))).packet_key
OTHER = CipherKey(1, bytes(32)).packet_key

symbols_of = st.integers(1, 100).flatmap(lambda eighths: st.binary(min_size=8 * eighths, max_size=8 * eighths))
packets = st.builds(
    Packet, st.integers(0, 0xFFFF), st.integers(0, 0xFF), st.integers(1, 5000), st.integers(0, 0xFFFF), symbols_of
)


def test_the_bytes_are_as_written_down() -> None:
    symbol = Random(1).randbytes(184)
    raw = Packet(edition=0x1234, span=5, symbols=0x0227, esi=0xFEDC, symbol=symbol).encode(KEY)
    content = bytes.fromhex("1234 05 0227 FEDC") + symbol
    assert raw == content + hmac.new(KEY, content, hashlib.sha256).digest()[:6]
    assert len(raw) == Packet.FRAME + 184 == 197


@given(packets)
def test_a_packet_comes_back_as_it_was(packet: Packet) -> None:
    raw = packet.encode(KEY)
    assert Packet.decode(raw) == packet
    assert is_authentic(raw, KEY)
    assert not is_authentic(raw, OTHER)


def test_no_bit_can_be_changed() -> None:
    raw = Packet(7, 0, 3, 1, bytes(range(16))).encode(KEY)
    for bit in range(8 * len(raw)):
        assert not is_authentic((int.from_bytes(raw) ^ 1 << bit).to_bytes(len(raw)), KEY)


def test_nothing_can_be_cut_off_or_added() -> None:
    raw = Packet(7, 0, 3, 1, bytes(range(16))).encode(KEY)
    others = [raw[:size] for size in range(len(raw))] + [raw[-size:] for size in range(1, len(raw))]
    assert not any(is_authentic(other, KEY) for other in [*others, raw + b"\0", raw + raw, b"\0" + raw])


@given(st.binary(max_size=300))
@example(b"")
@example(bytes(Packet.FRAME))
@example(b"\xff" * 70_000)
def test_anything_is_a_packet_or_refused(raw: bytes) -> None:
    assert is_authentic(raw, KEY) is False
    try:
        packet = Packet.decode(raw)
    except FormatError:
        return
    assert packet.encode(KEY)[:-6] == raw[:-6]


@pytest.mark.parametrize("size", [0, 4, 7, 9, 12, 183, MAX_SYMBOL_SIZE + 8])
def test_a_symbol_has_a_multiple_of_8_bytes_within_limits(size: int) -> None:
    with pytest.raises(FormatError, match="byte"):
        Packet.decode(bytes.fromhex("0001 00 0001 0000") + bytes(size + 6))
    with pytest.raises(FormatError):
        Packet(1, 0, 1, 0, bytes(size))


@pytest.mark.parametrize(("symbols", "size"), [(0, 8), (MAX_SYMBOLS + 1, 8), (0xFFFF, 8), (22797, 192), (66, 65528)])
def test_no_packet_belongs_to_nothing_or_to_more_than_an_object(symbols: int, size: int) -> None:
    with pytest.raises(FormatError, match="symbols"):
        Packet.decode(bytes(3) + symbols.to_bytes(2) + bytes(2 + size + 6))


@pytest.mark.parametrize("size", [8, 80, 184, 1024, MAX_SYMBOL_SIZE])
def test_the_longest_object_fits_and_one_symbol_more_does_not(size: int) -> None:
    symbols = min(MAX_SYMBOLS, -(-(4 + MAX_OBJECT) // size))
    assert Packet(1, 0, symbols, 0, bytes(size)).symbols == symbols
    with pytest.raises(FormatError):
        Packet(1, 0, symbols + 1, 0, bytes(size))


@pytest.mark.parametrize("numbers", [(-1, 0, 0), (0x10000, 0, 0), (1, -1, 0), (1, 256, 0), (1, 0, -1), (1, 0, 0x10000)])
def test_numbers_out_of_range_make_no_packet(numbers: tuple[int, int, int]) -> None:
    edition, span, esi = numbers
    with pytest.raises(FormatError, match="16 bits"):
        Packet(edition, span, 1, esi, bytes(8))
