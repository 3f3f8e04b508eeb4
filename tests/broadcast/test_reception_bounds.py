"""The receiver's places: what is on the air now keeps its own, whoever sends what, and memory is bounded."""

from random import Random

import pytest

from broadcast.cipher_key import CipherKey
from broadcast.packets import MAX_OBJECT
from broadcast.reception import (
    HALF_LIFE_SECONDS,
    IDLE_SECONDS,
    MAX_SYMBOL_BYTES,
    MAX_UNDER_WAY,
    Progress,
    Reception,
    Whole,
)
from tests.broadcast.air import (
    KEY,
    NEXT_KEY,
    SEALED,
    SIZE,
    assert_every_packet_is_counted_once,
    first_whole,
    forged,
    packets,
    some,
)


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_recorded_packets_of_older_editions_do_not_push_out_the_live_one() -> None:
    reception, live = Reception([KEY], 5), packets(1500)
    recorded = [next(packets(edition)) for edition in range(6, 1006)]
    random, whole = Random(2), None
    for count in range(1, 120):
        whole = reception.take(next(live))
        if whole:
            break
        assert first_whole(reception, random.sample(recorded, 50)) is None
        assert Progress(1500, 0, count, 109) in reception.progress
        assert len(reception.progress) <= MAX_UNDER_WAY
    assert whole == Whole(1500, 0, 1, SEALED)
    assert reception.statistics.crowded > 0
    assert_every_packet_is_counted_once(reception.statistics)


def test_a_thousand_objects_at_once_stay_within_bounds() -> None:
    """All authentic and ever newer: only somebody with the group's key can do that."""
    reception = Reception([KEY])
    for edition in range(1, 1001):
        first_whole(reception, forged(edition, 2, 100 + edition))
        assert len(reception.progress) <= MAX_UNDER_WAY
    assert {one.edition16 for one in reception.progress} == set(range(1001 - MAX_UNDER_WAY, 1001))


def test_the_longest_objects_stay_within_bounds() -> None:
    reception, symbols = Reception([KEY]), -(-MAX_OBJECT // SIZE)
    for edition in range(1, 20):
        first_whole(reception, forged(edition, 1, symbols))
        held = sum(one.need * SIZE for one in reception.progress)
        assert held <= MAX_SYMBOL_BYTES
    assert [one.edition16 for one in reception.progress] == [17, 18, 19]
    first_whole(reception, forged(18, 1, symbols // 2))
    assert [one.edition16 for one in reception.progress] == [17, 18, 19, 18]
    first_whole(reception, forged(16, 1, symbols - 1))
    assert [one.edition16 for one in reception.progress] == [17, 18, 19, 18]


def test_an_abandoned_object_gives_way_after_an_hour_even_to_what_is_seldom_heard() -> None:
    clock = Clock()
    reception = Reception([KEY], 5, clock)
    for edition in (100, 101, 102):
        first_whole(reception, forged(edition, 1))
    clock.seconds = IDLE_SECONDS - 1
    for edition in (8, 9, 10):
        first_whole(reception, forged(edition, 60, 200))
    live = packets(7)
    assert first_whole(reception, some(9, live)) is None
    assert reception.statistics.crowded == 9
    clock.seconds = IDLE_SECONDS
    assert first_whole(reception, live) == Whole(7, 0, 1, SEALED)


# --- somebody with the group's key, who announces editions that are newer than the live one ----------------


def test_a_handful_of_packets_an_hour_does_not_keep_the_live_edition_out() -> None:
    clock = Clock()
    reception = Reception([KEY], 5, clock)
    slow = [iter(forged(edition, 200, 150)) for edition in range(100, 100 + MAX_UNDER_WAY)]
    live, whole = packets(7), None
    for _ in range(150):
        first_whole(reception, [next(one) for one in slow])
        clock.seconds += IDLE_SECONDS - 1
        if whole := first_whole(reception, some(9, live)):
            break
    assert whole == Whole(7, 0, 1, SEALED)


@pytest.mark.parametrize(("pause", "comes"), [(1, False), (4, True)])
def test_who_would_keep_the_live_edition_out_must_send_half_as_much_for_each_place(pause: int, comes: bool) -> None:
    """A packet for each false object after every ``pause`` packets of the live one."""
    reception = Reception([KEY], 5)
    false = [iter(forged(edition, 500, 600)) for edition in range(100, 100 + MAX_UNDER_WAY)]
    live, whole = packets(7), None
    for _ in range(400 // pause):
        first_whole(reception, [next(one) for one in false])
        whole = whole or first_whole(reception, some(pause, live))
    assert (whole is not None) is comes
    assert_every_packet_is_counted_once(reception.statistics)


def test_of_fifty_ever_new_objects_to_one_of_its_packets_the_live_edition_is_not_lost() -> None:
    reception, live, whole = Reception([KEY], 5), packets(7), None
    for turn in range(200):
        for edition in range(100, 150):
            first_whole(reception, forged(edition, 1, 10 + turn))
        if whole := first_whole(reception, [next(live)]):
            break
        assert len(reception.progress) <= MAX_UNDER_WAY
    assert whole == Whole(7, 0, 1, SEALED)


def test_what_was_much_heard_some_time_ago_gives_way_to_what_is_heard_now() -> None:
    clock = Clock()
    reception = Reception([KEY], 5, clock)
    for edition in range(100, 100 + MAX_UNDER_WAY):
        first_whole(reception, forged(edition, 500, 600))
    assert first_whole(reception, some(200, packets(7))) is None
    clock.seconds = 8 * HALF_LIFE_SECONDS
    for edition in range(100, 100 + MAX_UNDER_WAY):
        first_whole(reception, forged(edition, 502, 600)[500:])
    assert first_whole(reception, some(200, packets(8))) == Whole(8, 0, 1, SEALED)


def test_of_one_edition_the_fitting_delta_comes_before_the_list_and_that_before_other_deltas() -> None:
    reception = Reception([KEY, NEXT_KEY], 5)
    spans = [9, 8, 7, 4, 3, 2, 0, 1, 5]
    for span in spans:
        reception.take(next(packets(10, span)))
    assert [one.span for one in reception.progress] == [4, 3, 2, 0, 1, 5]
    reception.take(next(packets(10, 0, SEALED, NEXT_KEY)))
    assert [one.span for one in reception.progress] == [3, 2, 0, 1, 5, 0]


@pytest.mark.parametrize(("first", "second", "kept"), [(KEY, NEXT_KEY, NEXT_KEY), (NEXT_KEY, KEY, NEXT_KEY)])
def test_of_one_list_the_newer_key_stays(first: CipherKey, second: CipherKey, kept: CipherKey) -> None:
    reception = Reception([KEY, NEXT_KEY])
    for edition, count in ((14, 1), (13, 1), (9, 50), (8, 50), (7, 50)):
        first_whole(reception, forged(edition, count, 100))
    airs = {key: packets(10, 0, SEALED[:900], key) for key in (first, second)}
    for key in (first, second):
        first_whole(reception, some(2, airs[key]))
    whole = first_whole(reception, some(3, airs[kept]))
    assert whole == Whole(10, 0, 2, SEALED[:900])


def test_of_one_list_in_two_sizes_of_symbols_what_is_further_on_stays() -> None:
    reception = Reception([KEY])
    first_whole(reception, some(1, packets(10, size=64)))
    first_whole(reception, some(2, packets(10, size=128)))
    first_whole(reception, some(1, packets(10, size=256)))
    for edition in range(11, 11 + MAX_UNDER_WAY - 1):
        first_whole(reception, forged(edition, 1))
    oldest = reception.progress[0]
    assert (oldest.edition16, oldest.have) == (10, 2)


def test_an_object_that_is_no_longer_wanted_gives_way_first() -> None:
    reception = Reception([KEY, NEXT_KEY], 5)
    reception.take(next(packets(10, 0, SEALED, NEXT_KEY)))
    assert first_whole(reception, packets(10, 0, SEALED))
    for edition in (5, 6, 7, 8, 9, 4):
        reception.take(next(packets(edition)))
    assert [one.edition16 for one in reception.progress] == [6, 7, 8, 9]
    for span in (1, 2, 3):
        reception.take(next(packets(6, span)))
    assert [(one.edition16, one.span) for one in reception.progress] == [(6, 0), (7, 0), (8, 0), (9, 0), (6, 1), (6, 2)]


def test_finished_objects_are_remembered_within_bounds() -> None:
    reception = Reception([KEY])
    for edition in range(1, 101):
        assert first_whole(reception, packets(edition, 0, b"list"))
    assert first_whole(reception, packets(1, 0, b"list"))
    assert first_whole(reception, some(5, packets(100, 0, b"list"))) is None
