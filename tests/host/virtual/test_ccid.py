"""CCID over a serial line: frames that are cut or damaged, and what a reader says to each message."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.virtual.ccid import NAK, CcidReader, FrameParser, Message, MuteError, RemovedError, frame

ATR = bytes.fromhex("3B00")
GIVE_FIRMWARE = bytes.fromhex("0306 6B 01000000 00 07 000000 02 6A".replace(" ", ""))


class Slot:
    """A slot whose card gives back what it is sent, and may ask for time, be mute or gone."""

    def __init__(self, *, inserted: bool = True, pauses: int = 0) -> None:
        self.inserted, self.pauses = inserted, pauses
        self.mute = False
        self.powered = False

    def present(self) -> bool:
        return self.inserted

    look = present

    def power_on(self) -> bytes:
        if not self.inserted:
            raise RemovedError
        if self.mute:
            raise MuteError
        self.powered = True
        return ATR

    def power_off(self) -> None:
        self.powered = False

    def exchange(self, tpdu: bytes) -> Iterator[bytes | None]:
        yield from [None] * self.pauses
        if self.mute:
            raise MuteError
        yield tpdu


def said(reader: CcidReader, kind: int, data: bytes = b"", slot: int = 0, specific: bytes = bytes(3)) -> list[str]:
    """Type, status, error, chain and data of each answer; slot and sequence number are those of the question."""
    answers = list(reader.answers(Message(kind, slot, 9, specific, data)))
    assert {(each.slot, each.sequence) for each in answers} == {(slot, 9)}
    return [f"{each.type:02X} {each.specific.hex()} {each.data.hex()}".strip() for each in answers]


def test_a_frame_has_the_bytes_that_drivers_send() -> None:
    [message] = FrameParser().feed(GIVE_FIRMWARE)
    assert message == Message(0x6B, 0, 7, data=b"\x02")
    assert frame(message) == GIVE_FIRMWARE
    assert bytes.fromhex("031516") == NAK


messages = st.builds(
    Message,
    st.integers(0, 255),
    st.integers(0, 255),
    st.integers(0, 255),
    st.binary(min_size=3, max_size=3),
    st.binary(max_size=261),
)


@given(st.lists(messages, max_size=4), st.integers(1, 50), st.binary(max_size=5).filter(lambda noise: 3 not in noise))
def test_messages_arrive_whole_however_they_are_cut(sent: list[Message], cut: int, noise: bytes) -> None:
    stream = b"".join(noise + frame(each) for each in sent)
    parser = FrameParser()
    got = [each for start in range(0, len(stream), cut) for each in parser.feed(stream[start : start + cut])]
    assert got == sent


@given(messages, st.integers(2, 1000), st.integers(1, 255))
def test_a_damaged_frame_is_never_taken_for_a_message_and_the_line_recovers(
    sent: Message, place: int, change: int
) -> None:
    raw = frame(sent)
    place = 2 + (place - 2) % (len(raw) - 2)
    damaged = raw[:place] + bytes((raw[place] ^ change,)) + raw[place + 1 :]
    parser = FrameParser()
    assert sent not in list(parser.feed(damaged))
    parser.forget()
    assert list(parser.feed(frame(sent))) == [sent]


def test_a_frame_that_says_to_be_too_long_is_damaged_and_not_waited_for() -> None:
    parser = FrameParser()
    assert list(parser.feed(b"\x03\x06\x6f\xff\xff\xff\xff" + GIVE_FIRMWARE)) == [
        None,
        Message(0x6B, 0, 7, data=b"\x02"),
    ]


@given(st.lists(st.binary(max_size=300), max_size=10))
def test_of_any_bytes_little_is_kept(received: list[bytes]) -> None:
    parser = FrameParser()
    for each in received:
        assert all(message is None or len(message.data) <= 261 for message in parser.feed(each))
    assert len(parser._buffer) < 280


def test_a_card_is_powered_spoken_to_and_powered_off() -> None:
    slot = Slot()
    reader = CcidReader([slot])
    assert said(reader, 0x65) == ["81 010000"]
    assert said(reader, 0x6F, b"ab") == ["80 41fe00"]
    assert said(reader, 0x62) == ["80 000000 3b00"]
    assert said(reader, 0x65) == ["81 000000"]
    assert said(reader, 0x6F, b"ab") == ["80 000000 6162"]
    assert said(reader, 0x63) == ["81 010000"]
    assert not slot.powered


def test_a_card_that_wants_time_gets_it_before_its_answer() -> None:
    reader = CcidReader([Slot(pauses=2)])
    said(reader, 0x62)
    assert said(reader, 0x6F, b"ab") == ["80 800100", "80 800100", "80 000000 6162"]


def test_a_slot_without_a_card_says_so_to_everything() -> None:
    reader = CcidReader([Slot(), Slot(inserted=False)])
    assert said(reader, 0x65, slot=1) == ["81 020000"]
    assert said(reader, 0x62, slot=1) == ["80 42fe00"]
    assert said(reader, 0x6F, b"ab", slot=1) == ["80 42fe00"]
    assert said(reader, 0x63, slot=1) == ["81 020000"]


def test_a_card_that_was_out_needs_power_again() -> None:
    slot = Slot()
    reader = CcidReader([slot])
    said(reader, 0x62)
    slot.inserted = False
    assert said(reader, 0x65) == ["81 020000"]
    slot.inserted = True
    assert said(reader, 0x65) == ["81 010000"]


def test_a_mute_card_is_told_from_none() -> None:
    slot = Slot()
    reader = CcidReader([slot])
    said(reader, 0x62)
    slot.mute = True
    assert said(reader, 0x6F, b"ab") == ["80 40fe00"]
    assert said(reader, 0x62) == ["80 41fe00"]


def test_what_a_card_can_make_nothing_of_is_an_error_of_length() -> None:
    reader = CcidReader([Slot()])
    said(reader, 0x62)
    assert said(reader, 0x6F) == ["80 400100"]


@pytest.mark.parametrize(
    ("kind", "answer"), [(0x62, "80"), (0x6F, "80"), (0x65, "81"), (0x61, "82"), (0x6B, "83"), (0x00, "81")]
)
def test_a_slot_that_does_not_exist_is_named_as_the_error(kind: int, answer: str) -> None:
    assert said(CcidReader([Slot()]), kind, slot=1) == [f"{answer} 420500"]


def test_parameters_are_those_that_were_set_until_they_are_reset() -> None:
    reader = CcidReader([Slot()])
    said(reader, 0x62)
    t1, t0 = bytes.fromhex("1110004d002000"), bytes.fromhex("1100000a00")
    assert said(reader, 0x6C) == ["82 000000 1100000a00"]
    assert said(reader, 0x61, t1, specific=b"\1\0\0") == [f"82 000001 {t1.hex()}"]
    assert said(reader, 0x6C) == [f"82 000001 {t1.hex()}"]
    for data, protocol in ((t1, b"\0\0\0"), (t0, b"\1\0\0"), (t0, b"\2\0\0"), (b"", b"\2\0\0")):
        assert said(reader, 0x61, data, specific=protocol) == ["82 400700"]
    assert said(reader, 0x6D) == ["82 000001 11100045002000"]


def test_what_the_reader_cannot_do_is_declined() -> None:
    reader = CcidReader([Slot()])
    assert said(reader, 0x69) == ["81 410000"]
    assert said(reader, 0x6B, b"\x6a") == ["83 410000"]
    assert said(reader, 0x6B, b"\1\1\1") == ["83 010000"]
    for firmware in (b"\2", b"\6"):
        assert said(reader, 0x6B, firmware)[0].startswith("83 010000 73616966")
