"""POCSAG: published codewords, what the code can detect, and pages read back by a decoder of the test's own."""

import subprocess

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apdu.errors import InputError
from broadcast.bearers import pocsag
from broadcast.bearers.pocsag import IDLE, SYNC, Page, codeword

BITS_OF_MESSAGE = 1 << 31
DATA = st.integers(0, (1 << 21) - 1)
FLIPS = st.sets(st.integers(0, 31), min_size=1, max_size=3)
"""Up to three wrong bits of a codeword; BCH and parity together are 6 bits apart at least."""

texts = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=120)
pages = st.builds(Page, st.integers(0, 2_007_663), st.integers(0, 3), texts)
"""Addresses below the reserved ones."""


def remainder(word: int) -> int:
    """The 31 bits of a codeword without its parity, divided by the generator, bit by bit."""
    left = 0
    for bit in f"{word >> 1:031b}":
        left = left << 1 | int(bit)
        if left >> 10:
            left ^= 0o3551
    return left


def is_codeword(word: int) -> bool:
    return word < 1 << 32 and remainder(word) == 0 and word.bit_count() % 2 == 0


# --- codewords ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("published", [0x7CD215D8, 0x7A89C197])
def test_sync_and_idle_codewords_are_the_codewords_of_their_data(published: int) -> None:
    assert published in (SYNC, IDLE)
    assert codeword(published >> 11) == published


def test_no_data_and_the_lowest_bit_make_the_codewords_that_the_generator_says() -> None:
    assert codeword(0) == 0
    assert codeword(1) == (1 << 10 | 0o3551 & 0x3FF) << 1 | 1


@given(DATA)
def test_every_codeword_carries_its_data_divides_evenly_and_has_even_parity(data: int) -> None:
    assert codeword(data) >> 11 == data
    assert is_codeword(codeword(data))


@given(DATA, FLIPS)
def test_up_to_three_wrong_bits_never_make_another_codeword(data: int, flips: set[int]) -> None:
    assert not is_codeword(codeword(data) ^ sum(1 << flip for flip in flips))


# --- pages -------------------------------------------------------------------------------------------------


def codewords(air: bytes) -> list[int]:
    """The codewords of whole batches, without the sync codewords."""
    assert len(air) % pocsag.BATCH_SIZE == 0
    words = [int.from_bytes(air[i : i + 4]) for i in range(0, len(air), 4)]
    assert all(map(is_codeword, words))
    assert {*words[::17]} <= {SYNC}
    return [word for place, word in enumerate(words) if place % 17]


def characters(bits: str) -> str:
    """Characters of 7 bits, least significant first, without the zeros that fill the last codeword."""
    whole = (bits[i : i + 7] for i in range(0, len(bits) // 7 * 7, 7))
    return "".join(chr(int(one[::-1], 2)) for one in whole).rstrip("\0")


def read(air: bytes) -> list[Page]:
    """Read pages as a pager does."""
    found: list[tuple[int, int, list[str]]] = []
    is_open = False
    for place, word in enumerate(codewords(air)):
        if word >= BITS_OF_MESSAGE:
            assert is_open, "text without an address"
            found[-1][2].append(f"{word >> 11 & 0xFFFFF:020b}")
        elif is_open := word != IDLE:
            found.append((word >> 13 << 3 | place % 16 // 2, word >> 11 & 3, []))
    return [Page(address, function, characters("".join(bits))) for address, function, bits in found]


@given(st.lists(pages, max_size=6))
def test_pages_are_read_back_in_order_with_address_function_and_text(sent: list[Page]) -> None:
    assert read(pocsag.batches(sent)) == sent


@given(st.lists(pages, max_size=3))
def test_a_transmission_is_a_preamble_then_batches_then_an_idle_batch(sent: list[Page]) -> None:
    air = pocsag.transmission(sent)
    assert len(pocsag.PREAMBLE) * 8 >= 576
    assert {*pocsag.PREAMBLE} == {0b10101010}
    assert air == pocsag.PREAMBLE + pocsag.batches(sent) + pocsag.IDLE_BATCH
    assert codewords(pocsag.IDLE_BATCH) == [IDLE] * 16


@pytest.mark.parametrize(
    ("address", "function", "text"),
    [(-1, 3, ""), (1 << 21, 3, ""), (8, -1, ""), (8, 4, ""), (2_007_664, 0, ""), (8, 3, "\u00e9"), (8, 3, "\ud800")],
)
def test_what_no_pager_can_be_told_is_refused(address: int, function: int, text: str) -> None:
    with pytest.raises(InputError):
        Page(address, function, text)


# --- samples -----------------------------------------------------------------------------------------------


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_pieces_of_the_air_become_pieces_of_the_sound(one: bytes, other: bytes) -> None:
    whole = pocsag.samples(one + other)
    assert whole.tolist() == [*pocsag.samples(one).tolist(), *pocsag.samples(other).tolist()]
    assert len(whole) == pocsag.SAMPLES_PER_BYTE * len(one + other)


@given(st.binary(min_size=1, max_size=40))
def test_the_middle_of_each_bit_is_low_for_one_and_high_for_zero(air: bytes) -> None:
    sound = pocsag.samples(air)
    middles = (np.arange(8 * len(air)) + 0.5) * pocsag.SAMPLE_RATE / 1200
    heard = sound[middles.astype(np.int64)] < 0
    assert np.packbits(heard).tobytes() == air


# --- the receiver of others --------------------------------------------------------------------------------


def decoded(air: bytes) -> list[str]:
    """Pages as multimon-ng prints them, without anything of ours between."""
    command = ["multimon-ng", "-q", "-t", "raw", "-a", "POCSAG1200", "-f", "alpha", "-"]
    done = subprocess.run(command, input=pocsag.samples(air).tobytes(), capture_output=True, check=True)
    return [line for line in done.stdout.decode().splitlines() if "Address" in line]


@pytest.mark.air
def test_multimon_ng_reads_address_function_and_text() -> None:
    sent = [Page(1_234_000, 3, "Hello"), Page(7, 2, "x" * 100), Page(2_007_671, 3, "+/09azAZ")]
    expected = [f"POCSAG1200: Address: {p.address:7}  Function: {p.function}  Alpha:   {p.text}" for p in sent]
    assert [line.replace("<NUL>", "") for line in decoded(pocsag.transmission(sent))] == expected


@pytest.mark.air
def test_multimon_ng_takes_580_characters_of_a_page_and_not_many_more() -> None:
    text = "".join(chr(65 + place % 26) for place in range(700))
    whole, cut = decoded(pocsag.transmission([Page(8, 3, text[:580]), Page(8, 3, text)]))
    assert whole.endswith("   " + text[:580])
    assert cut.endswith("   " + text[:582])
