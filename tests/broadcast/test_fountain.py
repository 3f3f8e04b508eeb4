"""The fountain: whichever symbols come, about K of them give the object, and no other symbols give trouble."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apdu.errors import FormatError, InputError
from broadcast import fountain
from broadcast.fountain import SURPLUS, FountainDecoder, FountainEncoder
from broadcast.packets import MAX_ESI, MAX_OBJECT, MAX_SYMBOLS

SHAPES = [(0, 8), (4, 8), (5, 8), (57, 8), (1000, 8), (1000, 16), (180, 184), (181, 184), (101_340, 184), (9000, 1400)]
"""Bytes of an object and of a symbol: one symbol, full and just over; K that RFC 6330 pads, and K that it does not."""


def decode(encoder: FountainEncoder, symbol_size: int, order: list[int]) -> tuple[bytes | None, int]:
    """The object, and how many symbols it took."""
    decoder = FountainDecoder(encoder.K, symbol_size)
    for esi in order:
        if (content := decoder.add(esi, encoder.symbol(esi))) is not None:
            return content, decoder.have
    return None, decoder.have


@pytest.mark.parametrize(("length", "size"), SHAPES)
@pytest.mark.parametrize("first", ["source", "repair", "any"])
def test_any_symbols_give_the_object(length: int, size: int, first: str) -> None:
    random = Random(length)
    content = random.randbytes(length)
    encoder = FountainEncoder(content, size)
    far = 10 * encoder.K + 100
    orders = {
        "source": [*range(encoder.K)],
        "repair": random.sample(range(encoder.K, far), encoder.K + 5),
        "any": random.sample(range(far), encoder.K + 5),
    }
    whole, taken = decode(encoder, size, orders[first])
    assert whole == content
    assert encoder.K <= taken <= encoder.K + 3


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=500), st.sampled_from([8, 16, 24, 64]), st.randoms(use_true_random=False))
def test_every_object_comes_back(content: bytes, size: int, random: Random) -> None:
    encoder = FountainEncoder(content, size)
    order = random.sample(range(3 * encoder.K + 8), encoder.K + 7)
    assert decode(encoder, size, order)[0] == content


def test_the_source_symbols_are_length_object_and_zeros() -> None:
    encoder = FountainEncoder(b"purse", 8)
    assert b"".join(encoder.symbol(esi) for esi in range(encoder.K)) == b"\0\0\0\x05purse" + bytes(7)


@pytest.mark.parametrize(("symbols", "size"), [(MAX_SYMBOLS, 8), (22796, 184), (65, 65528)])
def test_the_longest_objects_are_one_block(symbols: int, size: int) -> None:
    """Of several blocks, or of sub-blocks, the source symbols would not be the only ones that K names."""
    content = Random(size).randbytes(min(MAX_OBJECT, symbols * size - 4))
    encoder = FountainEncoder(content, size)
    assert symbols == encoder.K
    most = symbols * 9 // 10
    whole, taken = decode(encoder, size, [*range(most), *range(symbols, 2 * symbols - most + 5)])
    assert whole == content
    assert taken <= symbols + 3


def test_a_symbol_is_the_same_whenever_it_is_made() -> None:
    content = Random(1).randbytes(3000)
    at_once, bit_by_bit = FountainEncoder(content, 64), FountainEncoder(content, 64)
    at_once.symbol(5000)
    esis = [0, 46, 47, 48, 110, 111, 112, 500, 47, 4999]
    assert [bit_by_bit.symbol(esi) for esi in esis] == [at_once.symbol(esi) for esi in esis]
    assert len({at_once.symbol(esi) for esi in range(1000)}) == 1000


def test_symbols_have_ids_of_16_bits() -> None:
    encoder = FountainEncoder(b"purse", 8)
    assert len(encoder.symbol(MAX_ESI)) == 8
    for esi in (-1, MAX_ESI + 1):
        with pytest.raises(IndexError):
            encoder.symbol(esi)


def test_what_is_too_long_is_refused_with_a_remedy() -> None:
    with pytest.raises(InputError, match="at most 4194304"):
        FountainEncoder(bytes(MAX_OBJECT + 1), 184)
    with pytest.raises(InputError, match="use symbols of 75 bytes or more"):
        FountainEncoder(bytes(MAX_OBJECT), 72)
    assert FountainEncoder(bytes(MAX_OBJECT), 80).K <= MAX_SYMBOLS
    for size in (-8, 0, 1, 7, 12, 65536):
        with pytest.raises(InputError, match="symbol"):
            FountainEncoder(b"purse", size)


def test_the_same_symbol_again_counts_for_nothing() -> None:
    content = Random(2).randbytes(500)
    encoder, decoder = FountainEncoder(content, 64), FountainDecoder(8, 64)
    for esi in range(7):
        assert [decoder.add(esi, encoder.symbol(esi)) for _ in range(3)] == [None] * 3
    assert (decoder.have, decoder.need) == (7, 8)
    assert decoder.add(7, encoder.symbol(7)) == content
    assert decoder.add(8, encoder.symbol(8)) is None
    assert (decoder.have, decoder.spoiled) == (8, False)


def unlucky() -> tuple[FountainEncoder, list[int]]:
    """Ten symbols, all different, that are not enough."""
    encoder, random = FountainEncoder(Random(3).randbytes(76), 8), Random(3)
    for _ in range(2000):
        order = random.sample(range(10, 60_000), encoder.K)
        if decode(encoder, 8, order)[0] is None:
            return encoder, order
    raise AssertionError("every set of K symbols was enough")


def test_if_so_many_symbols_are_not_enough_a_few_more_are(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, order = unlucky()
    assert decode(encoder, 8, [*order, 0, 1, 2])[0] == Random(3).randbytes(76)
    monkeypatch.setattr(fountain, "SURPLUS", 0)
    decoder = FountainDecoder(encoder.K, 8)
    assert [decoder.add(esi, encoder.symbol(esi)) for esi in order] == [None] * encoder.K
    assert decoder.spoiled


@pytest.mark.parametrize(
    "source",
    [
        "00000005 01020304",  # longer than the symbol
        "FFFFFFFF 01020304",
        "00000003 01020304",  # no zero behind the end
        "00000004 01020304 00000000 00000000",  # a symbol too many
        "0000000D 01020304 00000000 00000000",  # a byte too few
        "00000006 01020304 05060000 00000001",
    ],
)
def test_wrong_length_or_padding_spoils_the_object(source: str) -> None:
    raw = bytes.fromhex(source)
    decoder = FountainDecoder(len(raw) // 8, 8)
    assert [decoder.add(at // 8, raw[at : at + 8]) for at in range(0, len(raw), 8)] == [None] * (len(raw) // 8)
    assert decoder.spoiled
    assert decoder.add(9, bytes(8)) is None


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 40), st.randoms(use_true_random=False), st.sampled_from([0.0, 0.1, 1.0]))
def test_false_symbols_end_in_nothing_worse_than_another_object(symbols: int, random: Random, false: float) -> None:
    content = random.randbytes(8 * symbols - 4)
    encoder, decoder = FountainEncoder(content, 8), FountainDecoder(symbols, 8)
    came = list[bytes]()
    for esi in random.sample(range(500), symbols + SURPLUS):
        symbol = random.randbytes(8) if random.random() < false else encoder.symbol(esi)
        whole = decoder.add(esi, symbol)
        came += [] if whole is None else [whole]
    assert decoder.spoiled is not bool(came)
    assert false or came == [content]


def test_what_would_make_the_library_abort_is_refused_before() -> None:
    decoder = FountainDecoder(3, 16)
    for esi, size in ((0, 0), (0, 8), (0, 24), (-1, 16), (MAX_ESI + 1, 16)):
        with pytest.raises(FormatError, match="does not belong"):
            decoder.add(esi, bytes(size))
    for symbols, size in ((0, 8), (MAX_SYMBOLS + 1, 8), (1, 4), (MAX_SYMBOLS, 184)):
        with pytest.raises(FormatError):
            FountainDecoder(symbols, size)
    assert decoder.have == 0
