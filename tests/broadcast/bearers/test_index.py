"""The index: the cheapest way from the edition in force to the newest, and nothing twice."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apdu.errors import FormatError
from broadcast.bearers.bundle import Bundle
from broadcast.bearers.index import LARGEST_INDEX, Entry, Index, Need
from broadcast.packets import distance
from tests.broadcast.bearers.objects import object_packets

FULL = 100_000


def entry(edition: int, span: int, size: int | None = None) -> Entry:
    return Entry(edition & 0xFFFF, span, size or (300 * span if span else FULL), f"{edition}-{span}")


def ways(index: Index, have: int) -> list[tuple[int, int]]:
    return [(one.edition, one.span) for one in index.route(have)]


@pytest.mark.parametrize(("have", "way"), [
    (10, []),
    (9, [(10, 1)]),
    (8, [(9, 1), (10, 1)]),
    (6, [(10, 4)]),
    (5, [(6, 1), (10, 4)]),
    (4, [(10, 0)]),
    (0, [(10, 0)]),
    (11, []),
    (65536 + 9, [(10, 1)]),
])  # fmt: skip
def test_cheapest_way_is_taken(have: int, way: list[tuple[int, int]]) -> None:
    index = Index((entry(10, 0), entry(10, 1), entry(9, 1), entry(10, 4), entry(6, 1)))
    assert ways(index, have) == way


def test_full_list_is_taken_where_deltas_cost_more() -> None:
    assert ways(Index((entry(10, 0, 500), entry(10, 1, 200), entry(9, 1, 200))), 8) == [(10, 0)]


def test_older_full_list_and_delta_lead_where_the_newest_list_is_missing() -> None:
    index = Index((entry(10, 1), entry(9, 0)))
    assert ways(index, 0) == ways(index, 3) == [(9, 0), (10, 1)]


def test_newest_edition_that_can_be_reached_is_the_aim() -> None:
    assert ways(Index((entry(12, 1), entry(10, 0), entry(10, 1))), 9) == [(10, 1)]


def test_numbers_wrap_around() -> None:
    index = Index((entry(65535, 0), entry(0, 1), entry(1, 1), entry(1, 0)))
    assert ways(index, 65535) == [(0, 1), (1, 1)]
    assert ways(index, 65536) == [(1, 1)]
    assert ways(index, 0) == [(1, 0)]
    assert (distance(1, 65535), distance(65535, 1)) == (2, -2)


entries = st.builds(entry, st.integers(65520, 65550), st.integers(0, 5), st.integers(1, 5000))


@given(st.lists(entries, max_size=12, unique_by=lambda one: (one.edition, one.span)), st.integers(65515, 65552))
def test_way_is_walkable_and_none_is_cheaper_to_its_end(found: list[Entry], have: int) -> None:
    def cost(way: tuple[Entry, ...]) -> int:
        return sum(one.size + 400 for one in way)

    def walks(at: int | None, way: tuple[Entry, ...]) -> list[tuple[Entry, ...]]:
        fits = [e for e in found if (e.span and at is not None and (at + e.span) & 0xFFFF == e.edition)]
        fits += [e for e in found if not e.span and not way and distance(e.edition, have & 0xFFFF) > 0]
        return [way, *(longer for e in fits for longer in walks(e.edition, (*way, e)))]

    every = walks(have & 0xFFFF, ())
    route = Index(tuple(found)).route(have)
    reach = [distance(way[-1].edition, have & 0xFFFF) if way else 0 for way in every]
    best = [cost(way) for way, end in zip(every, reach, strict=True) if end == max(reach)]
    assert route in every
    assert (distance(route[-1].edition, have & 0xFFFF) if route else 0) == max(reach)
    assert cost(route) == min(best)


def test_need_goes_on_as_the_list_does_and_asks_for_nothing_twice() -> None:
    have = [8]
    need = Need(lambda: have[0])
    assert need.next() is None
    assert not need.is_done
    need.index = Index((entry(10, 0), entry(10, 1), entry(9, 1)))
    assert not need.is_done
    first = need.next()
    assert first == entry(9, 1)
    need.tried(first)
    have[0] = 9
    second = need.next()
    assert second == entry(10, 1)
    need.tried(second)
    third = need.next()
    assert third == entry(10, 0), "a delta that was refused leaves the full list"
    need.tried(third)
    assert need.next() is None
    assert need.is_done
    need.index = Index((entry(10, 0), entry(10, 1), entry(9, 1)))
    assert need.next() is None, "the same index again is no news"
    need.index = Index((entry(11, 0), entry(11, 1), entry(10, 1)))
    assert need.next() == entry(10, 1)


def test_paths_name_the_newest_by_span_alone() -> None:
    index = Index((entry(65536, 1), entry(65535, 1), entry(65536, 0), entry(65530, 8)))
    assert [index.path(one) for one in index.entries] == ["delta/1", "delta/1/65535", "full", "delta/8"]


def test_index_comes_back() -> None:
    bundles = Bundle.sort([*object_packets(7, 0, 3000), *object_packets(7, 1, 300)])
    index = Index.of(bundles)
    assert Index.decode(index.encode()) == index
    assert [one.size for one in index.entries] == [len(bundle.raw) for bundle in bundles]
    assert all(one != other for one, other in pairwise(sorted(entry.etag for entry in index.entries)))


GOOD = {"edition": 7, "span": 1, "size": 5, "etag": "a"}


@pytest.mark.parametrize("objects", [
    None, {}, [None], [{}], [{**GOOD, "edition": 65536}], [{**GOOD, "edition": -1}], [{**GOOD, "span": 256}],
    [{**GOOD, "size": 7 << 20}], [{**GOOD, "size": 0}], [{**GOOD, "edition": "7"}], [{**GOOD, "edition": 7.0}],
    [{**GOOD, "etag": "a" * 65}], [GOOD, {**GOOD, "etag": "b"}], [{**GOOD, "edition": n} for n in range(513)],
])  # fmt: skip
def test_index_of_another_form_is_refused(objects: object) -> None:
    with pytest.raises(FormatError):
        Index.decode(json.dumps({"objects": objects}).encode())


@pytest.mark.parametrize("raw", [
    b"", b"[]", b"\xff", b"[" * 60_000, b'{"objects": [' + b"9" * 5000 + b"]}", b" " * (LARGEST_INDEX + 1),
])  # fmt: skip
def test_hostile_bytes_are_no_index(raw: bytes) -> None:
    with pytest.raises(FormatError):
        Index.decode(raw)
    assert Index.decode(json.dumps({"objects": [GOOD]}).encode()).entries[0].edition == 7


@given(st.binary(max_size=100))
def test_any_bytes_end_in_an_index_or_a_format_error(raw: bytes) -> None:
    try:
        Index.decode(raw)
    except FormatError:
        return
