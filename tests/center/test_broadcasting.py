"""The transmitter at work: what goes out over a bearer of each way, and what it takes up while it runs."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from time import monotonic

import pytest

from apdu.errors import BearerError, RefusedError
from broadcast.bearer import Transmitter, Way
from broadcast.packets import Packet, is_authentic
from center.broadcasting import Broadcast
from center.changes import published
from center.cipher_groups import GROUP, cipher_keys, retire_cipher_key, roll_cipher_key
from center.editions import publish, report_stolen, unpublished
from host.air import Outlet
from tests.center.bank import Bank

DAY = 86400
PLENTY = 60.0
"""Seconds after which a test gives up."""
Name = tuple[int, int, int]
"""Key number, edition, span."""


class Tap(Transmitter):
    """Where packets can be taken from as they are sent; whoever sends waits until they are."""

    symbol_size = 64

    def __init__(self, way: Way) -> None:
        self.way = way
        self.sent = Queue[list[bytes]](2)

    def send(self, packets: Sequence[bytes]) -> None:
        self.sent.put(list(packets), timeout=PLENTY)

    def next(self) -> list[bytes]:
        return self.sent.get(timeout=PLENTY)


class Heap(Transmitter):
    """Keeps all that is sent, for what ends by itself."""

    symbol_size = 64

    def __init__(self, way: Way) -> None:
        self.way = way
        self.sent: list[bytes] = []

    def send(self, packets: Sequence[bytes]) -> None:
        self.sent += packets


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[Bank]:
    """A center with one edition that lists one card, and terminals that were given a key."""
    made = Bank(tmp_path / "center")
    cipher_keys(made.center)
    report_stolen(made.center, made.purse().id)
    publish(made.center)
    yield made
    made.center.close()


@pytest.fixture(autouse=True)
def _look_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is new goes on the air with the next packets."""
    monkeypatch.setattr("center.broadcasting._LOOK_SECONDS", 0.0)
    monkeypatch.setattr("center.broadcasting._WAIT_SECONDS", 0.001)


def named(bank: Bank, packets: Sequence[bytes]) -> set[Name]:
    """What is in packets, each under the key whose tag it has."""
    keys = [bank.center.keys.cipher_key(GROUP, number) for number in range(1, 4)]
    of_key = {key.number: [Packet.decode(raw) for raw in packets if is_authentic(raw, key.packet_key)] for key in keys}
    return {(number, packet.edition, packet.span) for number, decoded in of_key.items() for packet in decoded}


@contextmanager
def running(sending: Broadcast, tap: Tap) -> Iterator[None]:
    """Send while the block goes on; ended with stop, whatever is still on its way."""
    thread = Thread(target=sending.run)
    thread.start()
    try:
        yield
    finally:
        sending.stop()
        while thread.is_alive():
            with suppress(Empty):
                tap.sent.get(timeout=0.01)
        thread.join()


def await_names(bank: Bank, tap: Tap, wanted: set[Name]) -> None:
    """Take what is sent until a whole round of it is this, and nothing else."""
    end = monotonic() + PLENTY
    while named(bank, tap.next()) != wanted:
        assert monotonic() < end


def steal(bank: Bank) -> None:
    report_stolen(bank.center, bank.purse().id)


# --- on the air --------------------------------------------------------------------------------------------


def test_a_new_edition_and_new_keys_go_on_the_air_while_it_runs(bank: Bank) -> None:
    tap = Tap(Way.AIR)
    sending = Broadcast(bank.center, GROUP, Outlet(tap))
    with running(sending, tap):
        await_names(bank, tap, {(1, 1, 0)})
        steal(bank)
        publish(bank.center)
        await_names(bank, tap, {(1, 2, 0), (1, 2, 1)})
        roll_cipher_key(bank.center)
        await_names(bank, tap, {(key, 2, span) for key in (1, 2) for span in (0, 1)})
        retire_cipher_key(bank.center, 1)
        await_names(bank, tap, {(2, 2, 0), (2, 2, 1)})
    assert {(one.key, one.edition, one.span) for one in sending.statistics.objects} == {(2, 2, 0), (2, 2, 1)}


def test_a_carousel_goes_on_where_nothing_has_changed(bank: Bank) -> None:
    """Looking changes nothing: the symbols go on, and no packet comes a second time."""
    tap = Tap(Way.AIR)
    with running(Broadcast(bank.center, GROUP, Outlet(tap)), tap):
        packets = [packet for _ in range(6) for packet in tap.next()]
    assert len(set(packets)) == len(packets) > 100


def test_reports_are_published_and_sent_while_it_runs(bank: Bank) -> None:
    tap = Tap(Way.AIR)
    with running(Broadcast(bank.center, GROUP, Outlet(tap), publishing=True), tap):
        await_names(bank, tap, {(1, 1, 0)})
        steal(bank)
        await_names(bank, tap, {(1, 2, 0), (1, 2, 1)})
        bank.time += DAY
        await_names(bank, tap, {(1, 3, 0), (1, 3, 1), (1, 2, 1)})
    assert not unpublished(bank.center)
    assert [row.listed for row in published(bank.center)] == [2, 2, 1]


def test_without_publishing_reports_wait(bank: Bank) -> None:
    tap = Tap(Way.AIR)
    with running(Broadcast(bank.center, GROUP, Outlet(tap)), tap):
        steal(bank)
        assert all(named(bank, tap.next()) == {(1, 1, 0)} for _ in range(4))


def test_statistics_count_what_was_sent(bank: Bank) -> None:
    steal(bank)
    publish(bank.center)
    heap, shown = Heap(Way.AIR), list[int]()
    sending = Broadcast(bank.center, GROUP, Outlet(heap))
    sending.run(0, lambda: shown.append(sending.statistics.packets))
    assert shown == [len(heap.sent)] == [sending.statistics.packets]
    assert sending.statistics.bytes == sum(map(len, heap.sent))
    sending.run(0)
    assert sending.statistics.packets == len(heap.sent) == 2 * shown[0]


@pytest.mark.parametrize("way", [Way.AIR, Way.LINE])
def test_it_ends_when_its_seconds_are_over(bank: Bank, way: Way) -> None:
    heap, rounds = Heap(way), list[None]()
    Broadcast(bank.center, GROUP, Outlet(heap)).run(0.05, lambda: rounds.append(None))
    assert heap.sent
    assert len(rounds) > 1


# --- into a recording --------------------------------------------------------------------------------------


def test_a_recording_holds_every_object_whole_whatever_the_seconds(bank: Bank) -> None:
    for _ in range(3):
        steal(bank)
        publish(bank.center)
    roll_cipher_key(bank.center)
    heap = Heap(Way.RECORDING)
    sending = Broadcast(bank.center, GROUP, Outlet(heap))
    sending.run(0)
    assert named(bank, heap.sent) == {(key, 4, 0) for key in (1, 2)} | {
        (key, number, 1) for key in (1, 2) for number in (2, 3, 4)
    }
    assert all(one.packets > 1.5 * one.symbols for one in sending.statistics.objects)
    assert len(set(heap.sent)) == len(heap.sent) == sending.statistics.packets


# --- on a line ---------------------------------------------------------------------------------------------


def test_a_line_has_a_channel_for_each_key_and_each_is_replaced_as_a_whole(bank: Bank) -> None:
    taps = {number: Tap(Way.LINE) for number in (1, 2)}
    sending = Broadcast(bank.center, GROUP, Outlet(taps[1], lambda key: taps[key]))
    with running(sending, taps[1]):
        first = taps[1].next()
        assert named(bank, first) == {(1, 1, 0)}
        steal(bank)
        publish(bank.center)
        assert named(bank, taps[1].next()) == {(1, 2, 0), (1, 2, 1)}
        roll_cipher_key(bank.center)
        assert [named(bank, taps[key].next()) for key in (2, 1)] == [
            {(key, 2, span) for span in (0, 1)} for key in (2, 1)
        ]
        retire_cipher_key(bank.center, 1)
        assert [named(bank, taps[key].next()) for key in (2, 1)] == [{(2, 2, 0), (2, 2, 1)}, set()]
    assert taps[1].sent.empty()


def test_what_lies_in_the_channel_of_a_retired_key_is_cleared_at_the_start(bank: Bank) -> None:
    roll_cipher_key(bank.center)
    retire_cipher_key(bank.center, 1)
    taps = {number: Tap(Way.LINE) for number in (1, 2)}
    sending = Broadcast(bank.center, GROUP, Outlet(taps[2], lambda key: taps[key]))
    with running(sending, taps[2]):
        assert [named(bank, taps[key].next()) for key in (1, 2)] == [set(), {(2, 1, 0)}]


class Flaky(Tap):
    """A line that fails at some of its rounds."""

    def __init__(self, *fails: int) -> None:
        super().__init__(Way.LINE)
        self._round, self._fails = 0, fails

    def send(self, packets: Sequence[bytes]) -> None:
        self._round += 1
        if self._round in self._fails:
            raise BearerError("the broker is away")
        super().send(packets)


def test_a_line_that_fails_later_is_told_of_and_tried_again(bank: Bank) -> None:
    tap, told = Flaky(2, 3), list[str]()
    sending = Broadcast(bank.center, GROUP, Outlet(tap))
    thread = Thread(target=sending.run, args=(None, lambda: None, told.append))
    thread.start()
    try:
        assert named(bank, tap.next()) == {(1, 1, 0)}
        steal(bank)
        publish(bank.center)
        assert named(bank, tap.next()) == {(1, 2, 0), (1, 2, 1)}
    finally:
        sending.stop()
        thread.join()
    assert told == ["not sent, in 0 s again: the broker is away"] * 2
    assert sending.failure is None


def test_what_did_not_go_out_is_known_at_the_end(bank: Bank) -> None:
    tap, told = Flaky(*range(2, 100)), list[str]()
    sending = Broadcast(bank.center, GROUP, Outlet(tap))
    steal(bank)

    def tell(line: str) -> None:
        told.append(line)
        sending.stop()

    thread = Thread(target=sending.run, args=(None, lambda: None, tell))
    thread.start()
    tap.next()
    publish(bank.center)
    thread.join()
    assert told == ["not sent, in 0 s again: the broker is away"]
    assert "the broker is away" in str(sending.failure)


def test_a_line_that_fails_at_the_start_is_an_error(bank: Bank) -> None:
    with pytest.raises(BearerError, match="the broker is away"):
        Broadcast(bank.center, GROUP, Outlet(Flaky(1))).run()


def test_a_line_is_left_alone_where_nothing_has_changed(bank: Bank) -> None:
    heap = Heap(Way.LINE)
    sending = Broadcast(bank.center, GROUP, Outlet(heap))
    rounds = 0

    def count() -> None:
        nonlocal rounds
        rounds += 1
        if rounds == 20:
            sending.stop()

    sending.run(None, count)
    assert len(heap.sent) == sending.statistics.packets == sending.statistics.objects[0].symbols


# --- what cannot be ----------------------------------------------------------------------------------------


def test_steps_alone_where_the_channel_is_narrow(bank: Bank) -> None:
    with pytest.raises(RefusedError, match="no step to send"):
        Broadcast(bank.center, GROUP, Outlet(Heap(Way.AIR)), steps_only=True)
    steal(bank)
    publish(bank.center)
    heap = Heap(Way.RECORDING)
    Broadcast(bank.center, GROUP, Outlet(heap), steps_only=True).run()
    assert named(bank, heap.sent) == {(1, 2, 1)}


def test_before_the_first_edition_there_is_nothing_to_send_unless_it_publishes(tmp_path: Path) -> None:
    empty = Bank(tmp_path / "empty")
    with pytest.raises(RefusedError, match="nothing was published"):
        Broadcast(empty.center, GROUP, Outlet(Heap(Way.RECORDING)))
    heap = Heap(Way.RECORDING)
    Broadcast(empty.center, GROUP, Outlet(heap), publishing=True).run()
    assert named(empty, heap.sent) == {(1, 1, 0)}
    empty.center.close()
