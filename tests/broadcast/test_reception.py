"""The receiver's part: authentic new packets become objects, whatever else is on the air, in bounded memory."""

from collections.abc import Iterator
from dataclasses import asdict
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broadcast.packets import MAX_ESI, Packet
from broadcast.reception import MAX_UNDER_WAY, Progress, Reception, Whole, is_newer
from tests.broadcast.air import (
    KEY,
    NEXT_KEY,
    SEALED,
    STRANGER,
    assert_every_packet_is_counted_once,
    first_whole,
    forged,
    packets,
    some,
)


def noisy(raws: Iterator[bytes], loss: float, random: Random) -> Iterator[bytes]:
    """What is left of packets on a bad bearer: some lost, some twice, all in disorder, and as many false ones."""
    foreign, other = packets(key=STRANGER), packets(edition=8, sealed=SEALED[::-1])
    while True:
        window = list[bytes]()
        for raw in some(40, raws):
            if random.random() >= loss:
                window += [raw] * random.choice([1, 1, 2])
            flipped = (int.from_bytes(raw) ^ 1 << random.randrange(8 * len(raw))).to_bytes(len(raw))
            forgery = raw[:-6] + random.randbytes(6)
            window.append(random.choice([flipped, forgery, raw[: random.randrange(len(raw))], next(foreign)]))
        window += some(5, other)
        random.shuffle(window)
        yield from window


@pytest.mark.parametrize("loss", [0.0, 0.3, 0.5])
def test_objects_come_whole_through_loss_disorder_repetition_and_forgery(loss: float) -> None:
    reception, air = Reception([NEXT_KEY, KEY]), noisy(packets(), loss, Random(1))
    assert first_whole(reception, air) == Whole(7, 0, 1, SEALED)
    count = reception.statistics
    assert_every_packet_is_counted_once(count)
    assert min(count.forged, count.malformed, count.duplicate) > 0
    assert (count.whole, count.spoiled) == (1, 0)
    (other,) = reception.progress
    assert (other.edition16, other.need) == (8, 109)
    assert 0 < other.have < 109 <= count.useful - other.have


def test_objects_at_once_do_not_mix() -> None:
    content = {(edition, span): Random(10 * edition + span).randbytes(900) for edition in (7, 8) for span in (0, 1)}
    streams = [packets(edition, span, sealed) for (edition, span), sealed in content.items()]
    streams.append(packets(8, 0, content[8, 0], NEXT_KEY))
    reception = Reception([KEY, NEXT_KEY])
    wholes = [
        whole
        for raws in zip(*(some(9, air) for air in streams), strict=True)
        for raw in raws
        if (whole := reception.take(raw))
    ]
    assert {(whole.edition16, whole.span): whole.sealed for whole in wholes} == content
    assert len(wholes) == 4
    assert reception.statistics.spoiled == 0


def test_no_bit_of_a_packet_can_be_changed() -> None:
    raw, reception = next(packets()), Reception([KEY, NEXT_KEY])
    for bit in range(8 * len(raw)):
        assert reception.take((int.from_bytes(raw) ^ 1 << bit).to_bytes(len(raw))) is None
    assert reception.progress == []
    assert (reception.statistics.useful, reception.statistics.received) == (0, 8 * len(raw))
    reception.take(raw)
    assert reception.progress == [Progress(7, 0, 1, 109)]


def test_the_whole_names_the_key_that_fitted() -> None:
    reception = Reception([KEY, NEXT_KEY])
    assert first_whole(reception, some(9, packets(7, 0, SEALED[:900], NEXT_KEY))) == Whole(7, 0, 2, SEALED[:900])
    retired = Reception([NEXT_KEY])
    assert first_whole(retired, some(9, packets(7, 0, SEALED[:900], KEY))) is None
    assert retired.statistics.forged == 9


@pytest.mark.parametrize(
    ("one", "other", "newer"),
    [
        (1, 0, True),
        (0, 1, False),
        (5, 5, False),
        (0, 0xFFFF, True),
        (0xFFFF, 0, False),
        (0x7FFF, 0, True),
        (0x8000, 0, False),
        (0, 0x8000, False),
        (10, 0xFFF0, True),
    ],
)
def test_editions_are_compared_as_serial_numbers(one: int, other: int, newer: bool) -> None:
    assert is_newer(one, other) is newer


@pytest.mark.parametrize(
    ("current", "edition", "is_taken"),
    [
        (0, 1, True),
        (0, 0x9000, True),
        (7, 7, False),
        (7, 6, False),
        (7, 8, True),
        (0xFFFF, 0x10000, True),
        (0x10000, 0xFFFF, False),
        (0x10000, 0x10000, False),
        (0x10000, 0x10001, True),
        (0x1FFFE, 0x20003, True),
        (0x20003, 0x1FFFE, False),
    ],
)
def test_only_what_is_newer_than_the_edition_in_force_is_taken(current: int, edition: int, is_taken: bool) -> None:
    reception = Reception([KEY], current)
    whole = first_whole(reception, some(9, packets(edition, 0, SEALED[:900])))
    assert whole == (Whole(edition & 0xFFFF, 0, 1, SEALED[:900]) if is_taken else None)
    assert reception.statistics.old == (0 if is_taken else 9)


def test_what_is_old_when_an_edition_comes_in_force_is_dropped() -> None:
    reception = Reception([KEY], 5)
    for edition in (6, 7, 8):
        first_whole(reception, some(3, packets(edition)))
    reception.current = 7
    assert [(one.edition16, one.have) for one in reception.progress] == [(8, 3)]
    assert reception.current == 7


def test_an_edition_in_force_is_the_newest_on_the_air_by_its_full_list_or_by_many_packets_without_a_newer() -> None:
    reception = Reception([KEY], 7)
    assert not reception.has_newest
    for raw in some(8, packets(7, span=1)):
        reception.take(raw)
        assert not reception.has_newest
    reception.take(next(packets(6)))
    assert reception.has_newest
    reception.take(next(packets(8, span=1)))
    assert not reception.has_newest
    reception.current = 8
    assert not reception.has_newest
    reception.take(next(packets(8)))
    assert reception.has_newest


def test_the_newest_edition_heard_of_is_known_whether_it_is_taken_or_not() -> None:
    reception = Reception([KEY], 0x10000)
    assert reception.heard is None
    heard = list[int | None]()
    for raw in (next(packets(9, key=STRANGER)), *map(next, map(packets, (0xFFF0, 0x10000, 0xFFFF, 0x10003, 0x10002)))):
        reception.take(raw)
        heard.append(reception.heard)
    assert heard == [None, 0xFFF0, 0, 0, 3, 3]


def test_keys_can_be_taken_in_and_retired() -> None:
    reception = Reception([KEY])
    for key in (KEY, NEXT_KEY):
        reception.take(next(packets(7, 0, SEALED, key)))
    reception.keys = [KEY, NEXT_KEY]
    reception.take(next(packets(8, 0, SEALED, NEXT_KEY)))
    assert [one.edition16 for one in reception.progress] == [7, 8]
    reception.keys = [NEXT_KEY]
    assert [one.edition16 for one in reception.progress] == [8]
    reception.take(next(packets(9)))
    assert (reception.statistics.forged, list(reception.keys)) == (2, [NEXT_KEY])


def test_a_terminal_that_has_lost_its_list_takes_it_again() -> None:
    reception = Reception([KEY])
    assert first_whole(reception, packets(7, 0, SEALED[:900]))
    reception.current = 7
    assert first_whole(reception, some(9, packets(7, 0, SEALED[:900]))) is None
    reception.current = 0
    assert first_whole(reception, packets(7, 0, SEALED[:900]))


def test_more_packets_of_a_finished_object_cost_nothing() -> None:
    air, reception = packets(7, 0, SEALED[:900]), Reception([KEY, NEXT_KEY])
    assert first_whole(reception, air)
    more = some(20, air) + some(20, packets(7, 0, SEALED[:900], NEXT_KEY)) + some(20, packets(7, 0, SEALED, size=64))
    assert first_whole(reception, more) is None
    assert (reception.statistics.duplicate, reception.progress) == (60, [])


def test_a_delta_that_does_not_begin_here_is_given_all_the_same() -> None:
    reception = Reception([KEY], 5)
    assert first_whole(reception, packets(9, 1, b"delta")) == Whole(9, 1, 1, b"delta")


def test_what_was_refused_is_taken_anew() -> None:
    air, reception = packets(7, 0, SEALED[:900]), Reception([KEY])
    first = first_whole(reception, air)
    assert first is not None
    for _ in range(2):
        reception.forget(first)
    assert reception.statistics.spoiled == 1
    assert first_whole(reception, air) == first
    assert reception.statistics.whole == 2


def test_an_object_spoiled_by_another_seal_is_begun_anew_and_comes() -> None:
    """Packets of two seals of the same list, as when the center does what it must not."""
    one, other = packets(7, 0, SEALED), packets(7, 0, SEALED[::-1])
    reception = Reception([KEY])
    first_whole(reception, some(60, other))
    false = first_whole(reception, some(400, one))
    while false and false.sealed != SEALED:
        reception.forget(false)
        false = first_whole(reception, one)
    assert false == Whole(7, 0, 1, SEALED)
    assert reception.statistics.spoiled >= 1


def test_false_symbols_with_true_tags_spoil_an_object_but_not_the_next() -> None:
    reception = Reception([KEY])
    assert first_whole(reception, forged(7, 4)) is None
    assert (reception.statistics.spoiled, reception.progress) == (1, [])
    assert first_whole(reception, packets()) == Whole(7, 0, 1, SEALED)


raws = st.binary(max_size=60) | st.builds(
    lambda edition, span, symbols, esi, symbol, key: Packet(edition, span, symbols, esi, symbol).encode(key.packet_key),
    st.integers(0, 0xFFFF),
    st.integers(0, 2),
    st.integers(1, 3),
    st.integers(0, 5) | st.integers(0, MAX_ESI),
    st.sampled_from([bytes(8), b"\0\0\0\x04abcd", b"\0\0\0\x0cabcd", bytes(16)]),
    st.sampled_from([KEY, NEXT_KEY, STRANGER]),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(raws, max_size=40), st.integers(0, 0x10000))
def test_whatever_comes_is_taken_and_counted(came: list[bytes], current: int) -> None:
    reception = Reception([KEY, NEXT_KEY], current)
    wholes = [whole for raw in came if (whole := reception.take(raw))]
    count = reception.statistics
    assert_every_packet_is_counted_once(count)
    assert (count.received, count.whole) == (len(came), len(wholes))
    assert min(asdict(count).values()) >= 0
    assert len(reception.progress) <= MAX_UNDER_WAY
    assert all(one.have < one.need + 32 for one in reception.progress)


def test_fewer_bytes_are_on_the_air_than_the_limit_allows_and_a_quarter_of_a_plain_carousel() -> None:
    """A list of 101,340 bytes sealed (101,000 are the least that tell it) at 30 % loss, from a random moment on."""
    random, loss, sealed = Random(1), 0.3, Random(6).randbytes(101_340)
    air = some(16 * 551, packets(1, 0, sealed))
    fountain, plain = list[int](), list[int]()
    for _ in range(200):
        reception, began = Reception([KEY]), random.randrange(8 * 551)
        heard = (at for at in range(began, len(air)) if random.random() >= loss)
        fountain.append(1 + next(at for at in heard if reception.take(air[at])) - began)
        plain.append(max(lossy_turns(random, loss) * 551 + place for place in range(1, 552)))
    least = 101_000 / (1 - loss)
    ratios = sorted(count * 197 / least for count in fountain)
    assert sum(ratios) / 200 <= 1.08
    assert ratios[189] <= 1.15
    assert sum(plain) >= 4 * sum(fountain)


def lossy_turns(random: Random, loss: float) -> int:
    """Turns of a plain carousel in which one packet is lost before it comes."""
    turns = 0
    while random.random() < loss:
        turns += 1
    return turns
