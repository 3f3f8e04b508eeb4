"""Coded sets: read back whole, as small as they can be, the same in plain Python, and hostile bytes are refused."""

import lzma
import re
from itertools import dropwhile, takewhile
from pathlib import Path
from random import Random

import brotli
import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from apdu.errors import FormatError
from broadcast.sparse_set import MAX_MEMBERS, MAX_UNIVERSE, Numbers, decode_set, encode_set, information_limit
from tests.broadcast.lists import LONGEST_RUN, SHORTEST_RUN, run_list, uniform_list
from tests.broadcast.reference_range_coder import Batch, Writer, gap_table, read_set, write_set

FORMAT = Path(__file__).resolve().parents[2] / "docs" / "reference" / "blacklist-format.md"

universes = st.integers(1, 300) | st.sampled_from([1 << 16, 10**7, MAX_UNIVERSE - 1, MAX_UNIVERSE])
stretches = st.tuples(st.integers(0, 300) | st.integers(0, MAX_UNIVERSE - 1), st.integers(1, 60), st.integers(1, 20))
"""First number, how many, and the step from each to the next."""


def numbers(members: object) -> Numbers:
    return np.array(members, np.uint32)


def drawn(universe: int, parts: list[tuple[int, int, int]]) -> list[int]:
    """Members in runs, with and without holes, and alone."""
    every = (first % universe + i * step for first, count, step in parts for i in range(count))
    return sorted({number for number in every if number < universe})


sets = st.builds(lambda universe, parts: (universe, drawn(universe, parts)), universes, st.lists(stretches, max_size=8))


@given(sets)
def test_a_set_reads_back_here_and_in_plain_python(drawn_set: tuple[int, list[int]]) -> None:
    universe, members = drawn_set
    raw = encode_set(numbers(members), universe)
    decoded = decode_set(raw, universe, len(members))
    assert (str(decoded.dtype), decoded.tolist()) == ("uint32", members)
    assert read_set(raw, universe, len(members)) == members


@given(st.integers(1, 40).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(0, n - 1)))))
def test_any_small_set_reads_back_and_so_does_its_complement(drawn_set: tuple[int, set[int]]) -> None:
    universe, members = drawn_set
    for one in (members, set(range(universe)) - members):
        raw = encode_set(numbers(sorted(one)), universe)
        assert decode_set(raw, universe, len(one)).tolist() == sorted(one)
        assert len(raw) <= information_limit(universe, len(one)) / 8 + 3


@given(sets, st.lists(st.tuples(st.integers(0, 400), st.integers(1, 90)), max_size=5))
def test_whatever_batches_an_encoder_chooses_are_read(
    drawn_set: tuple[int, list[int]], wanted: list[tuple[int, int]]
) -> None:
    universe, members = drawn_set
    batches = list[Batch]()
    for skipped, length in wanted:
        first = next((m for m in members[skipped % 7 :] if not batches or m > sum(batches[-1])), universe)
        if first + length <= universe:
            batches.append((first, length))
    raw = write_set(members, universe, batches)
    assert decode_set(raw, universe, len(members)).tolist() == members


def example_rows(heading: str) -> list[list[str]]:
    """Cells of the table that follows a line of the specification."""
    lines = iter(FORMAT.read_text("utf-8").split(f"\n{heading}\n")[1].splitlines())
    rows = list(takewhile(lambda line: line.startswith("|"), dropwhile(lambda line: not line.startswith("|"), lines)))
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[2:]]


def spelled(text: str) -> list[int]:
    """Members as the specification spells them, such as ``3, 10-20, 30-60 by 10``."""
    found = re.findall(r"(\d+)(?:-(\d+))?(?: by (\d+))?", text)
    return [n for first, last, step in found for n in range(int(first), int(last or first) + 1, int(step or 1))]


def test_the_examples_of_the_specification_hold() -> None:
    rows = example_rows("### Examples")
    assert len(rows) >= 9
    for universe, count, members, stretched, written in rows:
        listed, raw = spelled(members), b"" if written == "none" else bytes.fromhex(written.strip("`"))
        batches = [(int(first), int(last) - int(first) + 1) for first, last in re.findall(r"(\d+)-(\d+)", stretched)]
        assert (len(listed), encode_set(numbers(listed), int(universe))) == (int(count), raw)
        assert write_set(listed, int(universe), batches) == raw
        assert decode_set(raw, int(universe), int(count)).tolist() == listed


def test_the_tables_of_the_specification_hold() -> None:
    for universe, count, b, m, first, last in example_rows("#### The table of gaps"):
        low, escape, table = gap_table(int(universe), int(count))
        assert [low, escape, *table[1:4], *table[-3:-1]] == [int(b), int(m), *spelled(first), *spelled(last)]


# --- sizes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("universe", "count", "most"),
    [
        (10**7, 10**4, 1.0002),
        (10**7, 10**5, 1.0001),
        (10**7, 10**6, 1.0001),
        (10**8, 10**5, 1.0001),
        (10**8, 10**6, 1.0001),
        (10**6, 4 * 10**5, 1.0001),
    ],
)
def test_uniform_lists_take_what_information_theory_asks(universe: int, count: int, most: float) -> None:
    members = uniform_list(universe, count, 1)
    raw = encode_set(members, universe)
    assert len(raw) * 8 <= most * information_limit(universe, count)
    assert np.array_equal(decode_set(raw, universe, count), members)


@pytest.mark.parametrize(("count", "most"), [(10**4, 1.002), (10**5, 1.001)])
@pytest.mark.parametrize("share", [0.3, 0.7])
def test_runs_cost_next_to_nothing(count: int, most: float, share: float) -> None:
    members, entropy = run_list(10**7, count, share, 2)
    raw = encode_set(members, 10**7)
    assert len(raw) * 8 <= most * entropy
    assert len(raw) < smallest_of_others(members)
    assert np.array_equal(decode_set(raw, 10**7, count), members)


def smallest_of_others(members: Numbers) -> int:
    """The best that general compressors make of the gaps, each in as many groups of 7 bits as it needs."""
    gaps = bytearray()
    for gap in np.diff(members.astype(np.int64), prepend=-1).tolist():
        while gap > 0x7F:
            gaps.append(gap & 0x7F | 0x80)
            gap >>= 7
        gaps.append(gap)
    raw = bytes(gaps)
    xz = lzma.compress(raw, preset=9 | lzma.PRESET_EXTREME, check=lzma.CHECK_NONE)
    return min(len(xz), len(zstandard.compress(raw, 19)), len(brotli.compress(raw, quality=11)))


@pytest.mark.parametrize("missing", [0.1, 0.3, 0.6])
def test_runs_with_holes_are_found_too(missing: float) -> None:
    members, entropy = run_list(10**7, 10**5, 0.7, 3)
    left = members[np.random.default_rng(4).random(members.size) >= missing]
    places = entropy - information_limit(10**7, 30_000)
    in_runs, alone = round(70_000 * (1 - missing)), round(30_000 * (1 - missing))
    limit = places + information_limit(70_000, in_runs) + information_limit(10**7, alone)
    assert len(encode_set(left, 10**7)) * 8 <= 1.01 * limit


def test_small_sets_are_tiny() -> None:
    for count in (1, 5, 50, 500):
        limit = information_limit(10**7, count) / 8
        longest = max(len(encode_set(uniform_list(10**7, count, seed), 10**7)) for seed in range(10))
        assert longest <= limit * 1.02 + 6


def test_nothing_and_everything_take_no_bytes() -> None:
    for universe in (0, 1, 2, 1000, 1 << 22):
        assert encode_set(numbers([]), universe) == b""
        assert encode_set(np.arange(universe, dtype=np.uint32), universe) == b""
        assert np.array_equal(decode_set(b"", universe, universe), np.arange(universe))


def test_as_many_members_as_there_may_be() -> None:
    members = np.delete(np.arange(MAX_MEMBERS + 1, dtype=np.uint32), 1 << 20)
    raw = encode_set(members, MAX_UNIVERSE)
    assert len(raw) < 24
    assert np.array_equal(decode_set(raw, MAX_UNIVERSE, MAX_MEMBERS), members)


def test_the_information_limit_is_the_logarithm_of_the_number_of_sets() -> None:
    assert information_limit(10, 3) == pytest.approx(np.log2(120))
    assert (information_limit(7, 0), information_limit(7, 7)) == pytest.approx((0, 0))
    with pytest.raises(ValueError, match=r"\w"):
        information_limit(3, 4)


def test_generated_lists_are_as_they_say() -> None:
    members, entropy = run_list(10**6, 10**4, 0.5, 5)
    assert (members.size, np.unique(members).size, bool(members[-1] < 10**6)) == (10**4, 10**4, True)
    ends = np.append(np.flatnonzero(np.diff(members) > 1), members.size - 1)
    runs = [length for length in np.diff(ends, prepend=-1).tolist() if length >= SHORTEST_RUN]
    assert (len(runs), max(runs) <= LONGEST_RUN) == (round(10**4 * 0.5 / 260), True)
    assert entropy < information_limit(10**6, 10**4)


# --- refusals ----------------------------------------------------------------------------------------------


def test_what_is_no_set_is_not_written() -> None:
    beyond = np.arange(MAX_MEMBERS + 1, dtype=np.uint32)
    bad = [(numbers([3]), 3), (numbers([3, 3]), 9), (numbers([4, 3]), 9), (beyond, MAX_UNIVERSE), (numbers([[1]]), 9)]
    bad += [(numbers([]), -1), (numbers([1]), MAX_UNIVERSE + 1)]
    for members, universe in bad:
        with pytest.raises(ValueError, match=r"a set|of a set"):
            encode_set(members, universe)
    with pytest.raises(ValueError, match="uint32"):
        encode_set(np.array([1, 2]), 9)


@pytest.mark.parametrize(
    ("universe", "count"),
    [(10, 11), (10, -1), (-1, 0), (MAX_UNIVERSE, MAX_MEMBERS + 1), (MAX_UNIVERSE + 1, 1), (MAX_UNIVERSE, 1 << 70)],
)
def test_counts_that_cannot_be_are_refused(universe: int, count: int) -> None:
    with pytest.raises(FormatError, match="members out of"):
        decode_set(b"", universe, count)


def small_sets() -> list[tuple[int, list[int]]]:
    holes = [n for n in range(5000, 5100) if n % 9]
    return [
        (100, [5, 17, 42, 43, 99]),
        (10**7, uniform_list(10**7, 12, 6).tolist()),
        (10**6, sorted({*uniform_list(10**6, 9, 7).tolist(), *range(100, 150), *holes})),
        (60, [n for n in range(60) if n % 11]),
    ]


@pytest.mark.parametrize(("universe", "members"), small_sets())
def test_every_flipped_bit_makes_another_set_or_none(universe: int, members: list[int]) -> None:
    raw = encode_set(numbers(members), universe)
    outcomes = set()
    for bit in range(len(raw) * 8):
        flipped = bytearray(raw)
        flipped[bit >> 3] ^= 0x80 >> (bit & 7)
        other = attempt(bytes(flipped), universe, len(members))
        assert other != members
        outcomes.add(other is None)
    assert True in outcomes


def attempt(raw: bytes, universe: int, count: int) -> list[int] | None:
    """What is decoded; None when it is refused. Whatever comes is a set of that count."""
    try:
        members: list[int] = decode_set(raw, universe, count).tolist()
    except FormatError:
        return None
    assert sorted(set(members)) == members
    assert len(members) == count
    assert all(0 <= member < universe for member in members)
    return members


@pytest.mark.parametrize(("universe", "members"), small_sets())
def test_nothing_is_missing_and_nothing_follows(universe: int, members: list[int]) -> None:
    raw = encode_set(numbers(members), universe)
    for size in range(len(raw)):
        assert attempt(raw[:size], universe, len(members)) != members
    for more in (b"\x00", b"\x01", b"\x80", b"\xff", bytes(4), bytes(100), raw):
        assert attempt(raw + more, universe, len(members)) is None


@given(sets, st.data())
def test_damaged_bytes_make_another_set_or_none(drawn_set: tuple[int, list[int]], data: st.DataObject) -> None:
    universe, members = drawn_set
    raw = encode_set(numbers(members), universe)
    cut = data.draw(st.integers(0, len(raw)))
    attempt(raw[:cut] + data.draw(st.binary(max_size=6)) + raw[cut + 3 :], universe, len(members))


@given(universes, st.integers(0, 300), st.binary(max_size=40))
def test_random_bytes_make_a_set_or_none(universe: int, count: int, raw: bytes) -> None:
    attempt(raw, universe, min(count, universe))


def test_random_bytes_with_long_runs_of_bits_make_a_set_or_none() -> None:
    chance = Random(8)
    made = [attempt(bytes(chance.choices((0, 1, 128, 255), k=chance.randrange(24))), 5000, 40) for _ in range(400)]
    assert None in made


def refused(writer: Writer, universe: int, count: int, complaint: str) -> None:
    with pytest.raises(FormatError, match=complaint):
        decode_set(writer.finish(), universe, count)


def test_numbers_above_what_can_be_are_refused() -> None:
    for value in (4, 5, 100, 1 << 33):
        writer = Writer()
        writer.number(value)
        refused(writer, 10, 3, "above 3|at most 3")
    endless = Writer()
    endless.raw_bits([1] * 500, 1)
    refused(endless, MAX_UNIVERSE, MAX_MEMBERS, "above 4194304")


@pytest.mark.parametrize("sums", [(3, 4), (3, 3, 5), (3, 3, 4)])
def test_batches_that_do_not_fit_are_refused(sums: tuple[int, ...]) -> None:
    writer = Writer()
    for value in sums:
        writer.number(value)
    refused(writer, 10, 6, "at most|above|more batches")


def gap_symbols(universe: int, count: int, escapes: int, symbols: list[int]) -> bytes:
    """A set without batches, of whatever symbols; as if its gaps had no low bits."""
    writer = Writer()
    writer.number(0)
    writer.number(escapes)
    for symbol in symbols:
        writer.symbol(gap_table(universe, count)[2], symbol)
    return writer.finish()


def test_a_member_beyond_the_universe_is_refused() -> None:
    gaps = list(range(15, 34))
    before = sum(gaps) + len(gaps)
    assert attempt(gap_symbols(1000, 20, 0, [*gaps, 999 - before]), 1000, 20) is not None
    with pytest.raises(FormatError, match="beyond its universe"):
        decode_set(gap_symbols(1000, 20, 0, [*gaps, 1000 - before]), 1000, 20)


@pytest.mark.parametrize(("escapes", "last"), [(0, "ms"), (1, "sss"), (1, "ssm"), (1, "mms"), (2, "mmss")])
def test_escapes_must_be_as_many_as_are_said(escapes: int, last: str) -> None:
    m = gap_table(10**6, 20)[1]
    raw = gap_symbols(10**6, 20, escapes, [3] * 18 + [m if symbol == "m" else 3 for symbol in last])
    with pytest.raises(FormatError, match="number of escapes" if escapes < 2 else "at most 1"):
        decode_set(raw, 10**6, 20)


def test_bytes_between_the_last_symbol_and_the_end_of_the_range_are_refused() -> None:
    for count in (1, 50, 1000):
        with pytest.raises(FormatError):
            decode_set(b"\xff" * 64, 10**7, count)


def test_a_longer_way_to_the_same_set_is_refused() -> None:
    raw = encode_set(numbers([5, 17, 42, 43, 99]), 100)
    longer = [raw + bytes([last]) for last in range(256)] + [raw[:-1] + bytes([last, 1]) for last in range(256)]
    same = [one for one in longer if read_set(one, 100, 5) == [5, 17, 42, 43, 99]]
    assert len(same) > 10
    assert [attempt(one, 100, 5) for one in same] == [None] * len(same)
