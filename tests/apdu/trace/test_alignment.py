"""Two traces side by side: the fewest exchanges are left alone, in traces of any length."""

from collections.abc import Iterable
from functools import cache
from itertools import cycle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apdu.trace.alignment import WINDOW, Pair, align, shortest_edit
from apdu.trace.model import Exchange
from apdu.trace.reading import Reading

WORDS = st.lists(st.integers(0, 3), max_size=9)
LONG = 5 * WINDOW


def readings(headers: Iterable[int], slots: Iterable[str] = ("",)) -> list[Reading]:
    """Exchanges that differ in P1, in turns in these slots."""
    return [
        Reading(number, Exchange(bytes((0, 0xB2, p1 & 0xFF, p1 >> 8)), b"\x90\0", slot), name="READ RECORD")
        for number, (p1, slot) in enumerate(zip(headers, cycle(slots), strict=False), 1)
    ]


def numbers(pairs: Iterable[Pair]) -> list[tuple[int | None, int | None]]:
    return [(one.number if one else None, other.number if other else None) for one, other in pairs]


def common(one: list[int], other: list[int]) -> int:
    """Length of the longest common subsequence, by its definition."""

    @cache
    def rest(i: int, j: int) -> int:
        if i == len(one) or j == len(other):
            return 0
        return 1 + rest(i + 1, j + 1) if one[i] == other[j] else max(rest(i + 1, j), rest(i, j + 1))

    return rest(0, 0)


@given(WORDS, WORDS)
def test_as_many_as_possible_are_paired(one: list[int], other: list[int]) -> None:
    steps = shortest_edit(one, other, whole=True)
    assert [i for i, _ in steps if i is not None] == list(range(len(one)))
    assert [j for _, j in steps if j is not None] == list(range(len(other)))
    paired = [(i, j) for i, j in steps if i is not None and j is not None]
    assert all(one[i] == other[j] for i, j in paired)
    assert len(paired) == common(one, other)


@given(st.lists(st.integers(0, 600), max_size=12), st.lists(st.integers(0, 600), max_size=12))
def test_nothing_is_lost_or_comes_twice(one: list[int], other: list[int]) -> None:
    pairs = list(align(readings(one), readings(other)))
    assert [each.number for each, _ in pairs if each] == list(range(1, len(one) + 1))
    assert [each.number for _, each in pairs if each] == list(range(1, len(other) + 1))


def test_equal_traces_of_any_length() -> None:
    trace = readings(n % 7 for n in range(LONG))
    assert numbers(align(trace, trace)) == [(n, n) for n in range(1, LONG + 1)]


@pytest.mark.parametrize("missing", [1, 7, WINDOW - 20])
@pytest.mark.parametrize("at", [0, 100, WINDOW - 1, 3 * WINDOW])
def test_what_one_trace_does_not_have(missing: int, at: int) -> None:
    trace = readings(range(LONG))
    pairs = list(align(trace, trace[:at] + trace[at + missing :]))
    assert [one.number for one, other in pairs if one and not other] == list(range(at + 1, at + missing + 1))
    assert all(one == other for one, other in pairs if one and other)
    back = list(align(trace[:at] + trace[at + missing :], trace))
    assert [(other, one) for one, other in back] == pairs


def test_gaps_everywhere_in_a_trace_that_repeats_itself() -> None:
    trace = readings(n % 60 for n in range(LONG))
    pairs = list(align(trace, [each for each in trace if each.number % 7]))
    assert [one.number for one, other in pairs if one and not other] == list(range(7, LONG + 1, 7))


def test_traces_that_have_nothing_in_common_come_to_an_end() -> None:
    one, other = readings([1] * (2 * WINDOW + 5)), [each._replace(name="GET DATA") for each in readings([2] * WINDOW)]
    pairs = list(align(one, other))
    assert (len(pairs), all(None in pair for pair in pairs)) == (len(one) + len(other), True)


def test_an_empty_trace() -> None:
    trace = readings(range(WINDOW + 3))
    assert list(align(trace, [])) == [(each, None) for each in trace]
    assert list(align([], trace)) == [(None, each) for each in trace]
    assert list(align([], [])) == []


def test_another_header_is_the_same_command() -> None:
    one, other = readings([1, 2, 3]), readings([1, 9, 3])
    assert numbers(align(one, other)) == [(1, 1), (2, 2), (3, 3)]


def test_slots_with_other_names_are_found_by_their_order() -> None:
    one, other = readings(range(6), ("left", "right")), readings(range(6), ("reader 1", "reader 2"))
    assert numbers(align(one, other)) == [(n, n) for n in range(1, 7)]
    swapped = readings(range(6), ("right", "left"))
    assert all(old.item.slot == new.item.slot for old, new in align(one, swapped) if old and new)
