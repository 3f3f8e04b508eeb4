"""T=1: APDUs of any length over blocks of any size, with blocks that are damaged on the way."""

from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.virtual.t1 import LONGEST_COMMAND, Execute, T1Card, Wait
from tests.host.virtual.t1_device import T1Device, T1FailedError, block, is_whole

COMMAND = b"\x80\xe0\x00\x00\x03abc"


class Line:
    """A card that echoes each command, asks for more time first, and a line that damages some blocks."""

    def __init__(self, card: T1Card, damages: Iterable[int] = (), pauses: int = 0) -> None:
        self.card, self._damages, self._pauses = card, iter(damages), pauses
        self.executed: list[bytes] = []
        self.said: list[bytes] = []
        self._waits = 0

    def __call__(self, sent: bytes) -> bytes:
        back = self._step(self.card.receive(self._through(sent)))
        self.said.append(back)
        return self._through(back)

    def _step(self, step: bytes | Execute | Wait) -> bytes:
        if isinstance(step, bytes):
            return step
        if isinstance(step, Execute):
            self.executed.append(step.command)
            self._waits = self._pauses
        if self._waits:
            self._waits -= 1
            return self.card.more_time()
        return self.card.answer(self.executed[-1] + b"\x90\x00")

    def _through(self, sent: bytes) -> bytes:
        """0 leaves a block whole; else a byte of it is changed, or it is cut."""
        match next(self._damages, 0):
            case 0:
                return sent
            case 1:
                return sent[:-1]
            case 2:
                return b""
            case number:
                place = number % len(sent)
                return sent[:place] + bytes((sent[place] ^ (number % 255 + 1),)) + sent[place + 1 :]


def alone(places: list[int]) -> Iterator[int]:
    """Damages, one or two in a row, with enough whole blocks between them that all is mended before the next."""
    for number in places:
        yield from (0,) * 8
        yield from (number,) * (1 + number % 2)


commands = st.lists(st.integers(4, 700).flatmap(lambda size: st.binary(min_size=size, max_size=size)), max_size=4)


@given(commands, st.integers(1, 254), st.sampled_from([32, 33, 100, 254]), st.integers(0, 3))
def test_commands_and_answers_of_every_length_arrive_whole(
    sent: list[bytes], device_size: int, card_size: int, pauses: int
) -> None:
    line = Line(T1Card(card_size), pauses=pauses)
    device = T1Device(line, device_size)
    device.negotiate()
    assert [device.exchange(each) for each in sent] == [each + b"\x90\x00" for each in sent]
    assert line.executed == sent
    assert max((said[2] for said in line.said), default=0) <= device_size
    assert device.card_size == (card_size if sent else 32)
    assert device.resynchs == 0


@given(commands, st.lists(st.integers(1, 2000), max_size=30), st.integers(0, 2))
def test_each_damaged_block_is_mended_and_nothing_is_executed_twice(
    sent: list[bytes], damages: list[int], pauses: int
) -> None:
    line = Line(T1Card(64), alone(damages), pauses)
    device = T1Device(line, 40)
    device.negotiate()
    assert [device.exchange(each) for each in sent] == [each + b"\x90\x00" for each in sent]
    assert line.executed == sent
    assert device.resynchs == 0


@given(
    st.binary(min_size=4, max_size=200),
    st.lists(st.integers(0, 5) | st.integers(0, 2000), max_size=60),
    st.integers(0, 2),
)
def test_whatever_is_damaged_the_answer_is_right_or_the_device_gives_up_and_can_begin_again(
    command: bytes, damages: list[int], pauses: int
) -> None:
    left = iter(damages)
    line = Line(T1Card(), left, pauses)
    device = T1Device(line)
    try:
        assert device.exchange(command) == command + b"\x90\x00"
    except T1FailedError:
        assert damages
    assert set(line.executed) <= {command}
    for _ in left:
        pass  # from here on the line is quiet
    assert device.exchange(command) == command + b"\x90\x00"


@given(st.lists(st.binary(max_size=12) | st.builds(block, st.integers(0, 255), st.binary(max_size=3)), max_size=30))
def test_any_bytes_are_answered_with_a_whole_block_or_a_command(received: list[bytes]) -> None:
    line = Line(T1Card(254), pauses=1)
    assert all(is_whole(line(each)) for each in received)


def test_a_card_that_takes_longer_blocks_says_so_once() -> None:
    line = Line(T1Card(254))
    device = T1Device(line)
    for _ in range(2):
        assert device.exchange(COMMAND) == COMMAND + b"\x90\x00"
    assert [said for said in line.said if said[1] == 0xC1] == [block(0xC1, b"\xfe")]


GOOD = block(0, COMMAND)


@pytest.mark.parametrize(
    ("received", "error"),
    [
        (GOOD[:-1] + b"\xff", 1),
        (GOOD[:-1], 2),
        (GOOD + b"\0", 2),
        (b"", 2),
        (block(0x40, COMMAND), 2),
        (block(0x01, COMMAND), 2),
        (block(0, bytes(33)), 2),
        (b"\x12" + GOOD[1:-1] + bytes((GOOD[-1] ^ 0x12,)), 2),
        (bytes((0, 0, 255)) + bytes(255) + b"\xff", 2),
        (block(0xC1, b"\0"), 2),
        (block(0xC1, b"\xff"), 2),
        (block(0xC3, b"\1"), 2),
        (block(0xE0), 2),
    ],
)
def test_damage_is_told_from_other_errors_and_the_command_can_come_again(received: bytes, error: int) -> None:
    card = T1Card()
    assert card.receive(received) == block(0x80 | error)
    assert card.receive(GOOD) == Execute(COMMAND)


def test_a_piece_of_the_answer_is_sent_again_also_when_the_first_request_for_it_was_damaged() -> None:
    card = T1Card()
    assert card.receive(GOOD) == Execute(COMMAND)
    piece = card.answer(b"\x90\0")
    assert card.receive(b"") == block(0x92)
    assert card.receive(block(0x81)) == piece


def test_resynchronisation_begins_anew_in_the_middle_of_everything() -> None:
    card = T1Card()
    assert card.receive(block(0x20, bytes(32))) == block(0x90)
    assert card.receive(block(0xC0)) == block(0xE0)
    assert card.receive(GOOD) == Execute(COMMAND)
    assert card.more_time() == block(0xC3, b"\1")
    assert card.receive(block(0xC0)) == block(0xE0)
    assert card.receive(GOOD) == Execute(COMMAND)
    assert card.answer(bytes(40)) == block(0x20, bytes(32))
    assert card.receive(block(0xC0)) == block(0xE0)
    assert card.receive(GOOD) == Execute(COMMAND)
    assert card.answer(b"\x90\0") == block(0x00, b"\x90\0")


def test_a_chain_can_be_aborted_either_way() -> None:
    card = T1Card()
    assert card.receive(block(0x20, bytes(32))) == block(0x90)
    assert card.receive(block(0xC2)) == block(0xE2)
    assert card.receive(block(0x40, COMMAND)) == Execute(COMMAND)
    assert card.answer(bytes(40)) == block(0x20, bytes(32))
    assert card.receive(block(0xC2)) == block(0xE2)
    assert card.receive(GOOD) == Execute(COMMAND)


def test_a_request_is_repeated_until_it_is_granted() -> None:
    card = T1Card()
    card.receive(GOOD)
    request = card.more_time(3)
    for other in (b"", GOOD, block(0x80), block(0xE3, b"\1"), block(0xE1, b"\3")):
        assert card.receive(other) == request == block(0xC3, b"\3")
    assert isinstance(card.receive(block(0xE3, b"\3")), Wait)


def test_of_a_command_that_is_too_long_one_byte_more_is_kept_to_decline_it_by() -> None:
    card = T1Card()
    number = LONGEST_COMMAND // 32 + 5
    for place in range(number):
        assert card.receive(block(0x20 | (place & 1) << 6, bytes(32))) == block(0x80 | (~place & 1) << 4)
    assert card.receive(block((number & 1) << 6, COMMAND)) == Execute(bytes(LONGEST_COMMAND + 1))
