"""The center's schedule: fair shares, no symbol twice, and whoever switches on at any moment has the list soon."""

from collections import Counter
from itertools import groupby, islice, pairwise
from random import Random

import pytest

from apdu.errors import InputError
from broadcast.carousel import Carousel, OnAir
from broadcast.cipher_key import CipherKey
from broadcast.fountain import FountainDecoder
from broadcast.packets import Packet, is_authentic
from broadcast.reception import Reception, Whole

KEY, NEXT_KEY = CipherKey(1, bytes(range(32))), CipherKey(2, bytes(range(1, 33)))
FULL, DELTA = Random(1).randbytes(40_000), Random(2).randbytes(4_000)
SIZE = 184
ON_AIR = [OnAir(9, 0, KEY, FULL), OnAir(9, 1, KEY, DELTA), OnAir(8, 1, KEY, DELTA[::-1]), OnAir(9, 5, KEY, DELTA * 2)]
FULL_SYMBOLS, DELTA_SYMBOLS = 218, 22


def shown(raws: list[bytes]) -> Counter[tuple[int, int]]:
    """How many packets of each edition and span."""
    return Counter((packet.edition, packet.span) for packet in map(Packet.decode, raws))


def on_air(carousel: Carousel, count: int) -> list[bytes]:
    return list(islice(carousel.packets(), count))


def waits(loss: float, trials: int) -> list[dict[int, int]]:
    """For terminals switched on at random moments, the packets that went by until each span had come."""
    random, packets = Random(3), on_air(Carousel(ON_AIR, SIZE), 8000)
    result = []
    for _ in range(trials):
        reception, began, had = Reception([KEY], 4), random.randrange(5000), dict[int, int]()
        for at in range(began, len(packets)):
            whole = reception.take(packets[at]) if random.random() >= loss else None
            if whole and whole.edition16 == 9:
                assert whole.sealed == {0: FULL, 1: DELTA, 5: DELTA * 2}[whole.span]
                had[whole.span] = at - began + 1
            if {0, 1} <= had.keys():
                break
        result.append(had)
    return result


def test_without_loss_the_newest_delta_comes_soon_and_the_list_not_much_later() -> None:
    for had in waits(0.0, 60):
        assert had[1] <= DELTA_SYMBOLS / (1 / 3) * 1.5 + 6
        assert had[0] <= FULL_SYMBOLS / (2 / 3) * 1.1


@pytest.mark.parametrize("loss", [0.3, 0.5])
def test_with_loss_it_takes_longer_by_the_loss_alone(loss: float) -> None:
    had = waits(loss, 60)
    mean = {span: sum(one[span] for one in had) / len(had) for span in (0, 1)}
    assert mean[1] <= DELTA_SYMBOLS / (1 / 3) * 1.5 / (1 - loss) * 1.05
    assert mean[0] <= FULL_SYMBOLS / (2 / 3) * 1.1 / (1 - loss)
    expected = Carousel(ON_AIR, SIZE).statistics.expected_seconds(8 * (SIZE + Packet.FRAME), loss)
    assert mean[0] == pytest.approx(expected[0], rel=0.05)
    assert mean[1] == pytest.approx(expected[1], rel=0.05)


def test_air_time_is_shared_as_planned() -> None:
    count = shown(on_air(Carousel(ON_AIR, SIZE, 0.4), 9000))
    assert count[9, 0] == pytest.approx(9000 * 0.6, abs=2)
    assert count[9, 1] == pytest.approx(9000 * 0.4 * 2 / 3, abs=2)
    assert count[8, 1] == pytest.approx(9000 * 0.4 / 6, abs=2)
    assert count[9, 5] == pytest.approx(9000 * 0.4 / 6, abs=2)


def test_packets_of_an_object_are_spread_evenly() -> None:
    packets = [Packet.decode(raw) for raw in on_air(Carousel(ON_AIR, SIZE), 3000)]
    newest = [at for at, packet in enumerate(packets) if (packet.edition, packet.span) == (9, 1)]
    assert {later - earlier for earlier, later in pairwise(newest)} <= {3, 4, 5, 6}
    assert newest[0] <= 5


def test_what_there_is_has_all_the_air_time() -> None:
    assert shown(on_air(Carousel(ON_AIR[:1], SIZE), 50)) == {(9, 0): 50}
    assert shown(on_air(Carousel(ON_AIR[1:2], SIZE), 50)) == {(9, 1): 50}
    only_deltas = shown(on_air(Carousel(ON_AIR[1:], SIZE), 60))
    assert only_deltas == {(9, 1): 40, (8, 1): 10, (9, 5): 10}


def test_every_key_has_the_same_air_time() -> None:
    both = [*ON_AIR, OnAir(9, 0, NEXT_KEY, FULL[::-1]), OnAir(9, 1, NEXT_KEY, DELTA)]
    packets = on_air(Carousel(both, SIZE), 6000)
    of_next = [raw for raw in packets if is_authentic(raw, NEXT_KEY.packet_key)]
    assert shown(of_next) == {(9, 0): 2000, (9, 1): 1000}
    assert sum(is_authentic(raw, KEY.packet_key) for raw in packets) == 3000
    for key, sealed in ((KEY, FULL), (NEXT_KEY, FULL[::-1])):
        reception = Reception([key])
        assert Whole(9, 0, key.number, sealed) in [reception.take(raw) for raw in packets]


def test_symbols_go_on_for_eight_passes_and_begin_again() -> None:
    packets = map(Packet.decode, on_air(Carousel(ON_AIR[:1], SIZE), 8 * FULL_SYMBOLS + 3))
    assert [packet.esi for packet in packets] == [*range(8 * FULL_SYMBOLS), 0, 1, 2]
    short = map(Packet.decode, on_air(Carousel([OnAir(9, 0, KEY, b"list")], SIZE), 1026))
    assert [packet.esi for packet in short] == [*range(1024), 0, 1]


def test_the_longest_objects_go_on_to_the_last_id() -> None:
    carousel = Carousel([OnAir(9, 0, KEY, bytes(70_000))], 8)
    esis = [Packet.decode(raw).esi for raw in on_air(carousel, 65538)]
    assert esis == [*range(65536), 0, 1]


def test_a_terminal_that_is_there_when_symbols_begin_again_notices_nothing() -> None:
    packets = on_air(Carousel(ON_AIR[:1], SIZE), 9 * FULL_SYMBOLS)[7 * FULL_SYMBOLS + 100 :]
    reception = Reception([KEY])
    assert any(map(reception.take, packets[: FULL_SYMBOLS + 3]))
    assert reception.statistics.duplicate <= 3


@pytest.mark.parametrize("redundancy", [1.0, 1.25, 2.0])
def test_a_recording_holds_every_object_deltas_first(redundancy: float) -> None:
    burst = Carousel(ON_AIR, SIZE).burst(redundancy)
    in_order = [(packet.edition, packet.span) for packet in map(Packet.decode, burst)]
    assert [name for name, _ in groupby(in_order)] == [(9, 1), (9, 5), (8, 1), (9, 0)]
    assert shown(burst)[9, 0] == int(FULL_SYMBOLS * redundancy + 0.999) + 2
    reception = Reception([KEY])
    assert sum(reception.take(raw) is not None for raw in burst) == 4


def test_the_next_recording_gives_what_the_last_one_lacked() -> None:
    carousel, random = Carousel(ON_AIR, SIZE), Random(4)
    heard = [raw for _ in range(2) for raw in carousel.burst(1.0) if random.random() >= 0.4]
    reception = Reception([KEY])
    assert sum(reception.take(raw) is not None for raw in heard) == 4
    assert reception.statistics.useful + reception.statistics.duplicate == len(heard)


def test_a_bundle_is_the_source_symbols_of_each_object() -> None:
    carousel = Carousel(ON_AIR, SIZE)
    bundle = carousel.bundle()
    for thing, raws in zip(ON_AIR, bundle, strict=True):
        packets = [Packet.decode(raw) for raw in raws]
        assert [packet.esi for packet in packets] == list(range(packets[0].symbols))
        decoder = FountainDecoder(packets[0].symbols, SIZE)
        assert [decoder.add(packet.esi, packet.symbol) for packet in packets][-1] == thing.sealed
        assert all(is_authentic(raw, thing.key.packet_key) for raw in raws)
    assert carousel.bundle() == bundle


def test_statistics_tell_what_was_sent() -> None:
    carousel = Carousel(ON_AIR[:2], SIZE)
    sent = on_air(carousel, 700)
    full, delta = carousel.statistics.objects
    assert (full.kind, full.edition, full.span, full.key, full.symbols) == ("full", 9, 0, 1, FULL_SYMBOLS)
    assert (delta.kind, delta.edition, delta.span, delta.key, delta.symbols) == ("delta", 9, 1, 1, DELTA_SYMBOLS)
    assert (full.pass_bytes, delta.pass_bytes) == (FULL_SYMBOLS * 197, DELTA_SYMBOLS * 197)
    assert {(9, 0): full.packets, (9, 1): delta.packets} == shown(sent)
    assert (full.passes, delta.passes) == (3, 11)
    assert carousel.statistics.packets == 700
    assert carousel.statistics.bytes == full.bytes + delta.bytes == sum(map(len, sent))
    assert full.share + delta.share == pytest.approx(1)
    carousel.bundle()
    assert carousel.statistics.packets == 700 + FULL_SYMBOLS + DELTA_SYMBOLS


def test_the_expected_time_follows_from_share_speed_and_loss() -> None:
    full, delta = Carousel(ON_AIR[:2], SIZE).statistics.expected_seconds(1200, 0.25)
    assert full == pytest.approx(FULL_SYMBOLS * 197 * 8 / 1200 / (2 / 3) / 0.75, rel=1e-5)
    assert delta == pytest.approx(DELTA_SYMBOLS * 197 * 8 / 1200 / (1 / 3) / 0.75, rel=1e-5)
    for speed, loss in ((0, 0.1), (-1, 0.1), (1200, 1), (1200, -0.1)):
        with pytest.raises(InputError):
            Carousel(ON_AIR, SIZE).statistics.expected_seconds(speed, loss)


def test_what_cannot_be_broadcast_is_refused() -> None:
    with pytest.raises(InputError, match="nothing to broadcast"):
        Carousel([], SIZE)
    with pytest.raises(InputError, match="same edition"):
        Carousel([*ON_AIR, OnAir(9 + 65536, 1, KEY, b"another")], SIZE)
    for share in (-0.1, 0, 1, 2, float("nan")):
        with pytest.raises(InputError, match="share"):
            Carousel(ON_AIR, SIZE, share)
    for edition, span in ((0, 0), (300, 256), (9, -1)):
        with pytest.raises(InputError, match="numbered"):
            Carousel([OnAir(edition, span, KEY, b"list")], SIZE)
    for redundancy in (0.9, 9, float("nan"), float("inf")):
        with pytest.raises(InputError, match="redundancy"):
            Carousel(ON_AIR, SIZE).burst(redundancy)
    with pytest.raises(InputError, match="symbol"):
        Carousel(ON_AIR, 13)


def test_no_key_is_shown() -> None:
    shown_text = repr(ON_AIR[0]) + repr(Carousel(ON_AIR, SIZE).statistics)
    assert KEY.key.hex() not in shown_text
    assert repr(KEY.key) not in shown_text
    assert repr(KEY.packet_key) not in shown_text
    assert repr(FULL) not in shown_text
