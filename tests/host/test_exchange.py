"""Chaining, 61xx and 6Cxx between a session and a connection: what must happen, and what no card can do to us."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apdu.command import CommandApdu
from apdu.errors import MisbehaviourError
from apdu.response import ResponseApdu
from host.exchange import exchange
from tests.host.script import Script, pieces

COMMAND = CommandApdu(0x80, 0x30, 0x01, 0x02, b"data", 256)
OK = b"\x90\x00"
MOST_COMMANDS, MOST_DATA = 262, 65_536


def with_data(size: int, ne: int | None = 256) -> CommandApdu:
    return CommandApdu(0x80, 0x30, 0x01, 0x02, bytes(i & 0xFF for i in range(size)), ne)


def decoded(script: Script) -> list[CommandApdu]:
    return [CommandApdu.decode(raw) for raw in script.sent]


# --- honest cards ------------------------------------------------------------------------------------------


def test_a_short_command_goes_as_it_is() -> None:
    card = Script(b"answer" + OK)
    assert exchange(card, COMMAND) == ResponseApdu(b"answer", 0x9000)
    assert card.sent == [COMMAND.encode()]


@pytest.mark.parametrize(("size", "parts"), [(0, [0]), (255, [255]), (256, [255, 1]), (511, [255, 255, 1])])
def test_long_data_is_chained(size: int, parts: list[int]) -> None:
    card = Script(OK)
    exchange(card, with_data(size))
    sent = decoded(card)
    assert [len(part.data) for part in sent] == parts
    assert b"".join(part.data for part in sent) == with_data(size).data
    assert [(part.cla, part.ne) for part in sent[:-1]] == [(0x90, None)] * (len(parts) - 1)
    assert (sent[-1].cla, sent[-1].ne, sent[-1].header[1:]) == (0x80, 256, b"\x30\x01\x02")


def test_a_chain_that_is_declined_stops() -> None:
    card = Script(OK, b"\x6a\x80")
    assert exchange(card, with_data(900)).sw == 0x6A80
    assert len(card.sent) == 2


def test_the_rest_of_an_answer_is_fetched() -> None:
    card = Script(b"one" + b"\x61\x03", b"two" + b"\x61\x00", bytes(256) + OK)
    assert exchange(card, COMMAND) == ResponseApdu(b"onetwo" + bytes(256), 0x9000)
    assert [raw.hex() for raw in card.sent[1:]] == ["00c0000003", "00c0000000"]


def test_the_word_at_the_end_counts() -> None:
    assert exchange(Script(b"one" + b"\x61\x03", b"two" + b"\x62\x83"), COMMAND) == ResponseApdu(b"onetwo", 0x6283)


@pytest.mark.parametrize(("word", "ne"), [(b"\x6c\x05", 5), (b"\x6c\x00", 256)])
def test_a_wrong_le_is_put_right(word: bytes, ne: int) -> None:
    card = Script(word, b"right" + OK)
    assert exchange(card, with_data(3, 17)).data == b"right"
    assert [command.ne for command in decoded(card)] == [17, ne]
    assert decoded(card)[1].data == decoded(card)[0].data


def test_a_wrong_le_at_the_end_of_a_chain_repeats_its_last_part_alone() -> None:
    card = Script(OK, b"\x6c\x05", b"right" + OK)
    assert exchange(card, with_data(256)).data == b"right"
    assert [len(command.data) for command in decoded(card)] == [255, 1, 1]


def test_without_le_nothing_is_put_right() -> None:
    card = Script(b"\x6c\x05", OK)
    assert exchange(card, with_data(3, None)).sw == 0x6C05
    assert len(card.sent) == 1


def test_an_answer_of_64_kib_is_taken() -> None:
    answer = bytes(range(256)) * 256
    assert exchange(Script(*pieces(answer)), COMMAND).data == answer


# --- hostile cards -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", [b"\x61\x00", b"\x61\x10", b"x\x61\x01"])
def test_61xx_for_ever_without_data(first: bytes) -> None:
    card = Script(first, b"\x61\x10")
    with pytest.raises(MisbehaviourError, match="without an end"):
        exchange(card, COMMAND)
    assert len(card.sent) == 2


@pytest.mark.parametrize("size", [1, 255, 256])
def test_61xx_for_ever_with_data(size: int) -> None:
    card = Script(bytes(size) + b"\x61\x00")
    with pytest.raises(MisbehaviourError, match="without an end"):
        exchange(card, COMMAND)
    assert len(card.sent) <= MOST_COMMANDS


def test_an_answer_a_little_over_64_kib_is_not_taken() -> None:
    with pytest.raises(MisbehaviourError, match="without an end"):
        exchange(Script(*pieces(bytes(MOST_DATA + 1))), COMMAND)


def test_6cxx_to_every_retry() -> None:
    card = Script(b"\x6c\x05")
    assert exchange(card, COMMAND).sw == 0x6C05
    assert len(card.sent) == 2


@pytest.mark.parametrize("answers", [(b"\x61\x05", b"\x6c\x04"), (b"\x6c\x05", b"\x61\x05", b"\x6c\x04")])
def test_61xx_and_6cxx_in_turn(answers: tuple[bytes, ...]) -> None:
    card = Script(*answers)
    assert exchange(card, COMMAND).sw == 0x6C04
    assert len(card.sent) == len(answers)


@pytest.mark.parametrize("answer", [b"", b"\x90"])
def test_an_answer_without_a_status_word(answer: bytes) -> None:
    with pytest.raises(MisbehaviourError, match="at least 2 bytes"):
        exchange(Script(answer), COMMAND)


@pytest.mark.parametrize(("ne", "size"), [(256, 257), (5, 6), (None, 257), (256, 65_536)])
def test_an_answer_longer_than_le(ne: int | None, size: int) -> None:
    with pytest.raises(MisbehaviourError, match="asked for"):
        exchange(Script(bytes(size) + OK), with_data(4, ne))


def test_a_piece_longer_than_it_was_announced() -> None:
    with pytest.raises(MisbehaviourError, match="6 bytes where 5"):
        exchange(Script(b"one\x61\x05", b"sixsix" + OK), COMMAND)


def test_data_beside_an_error_word_stay_beside_it() -> None:
    assert exchange(Script(b"data\x6a\x80"), COMMAND) == ResponseApdu(b"data", 0x6A80)


def test_data_beside_6cxx_are_no_reason_to_ask_again() -> None:
    card = Script(b"data\x6c\x04")
    assert exchange(card, COMMAND) == ResponseApdu(b"data", 0x6C04)
    assert len(card.sent) == 1


words = st.sampled_from(
    [b"\x61\x00", b"\x61\x01", b"\x61\xff", b"\x6c\x00", b"\x6c\x07", OK, b"\x6a\x80", b"\x90", b""]
)
answers = st.tuples(st.sampled_from([0, 0, 1, 200, 256, 257]), words).map(lambda parts: bytes(parts[0]) + parts[1])


@given(st.lists(answers, min_size=1, max_size=6), st.integers(0, 600), st.sampled_from([None, 1, 200, 256]))
def test_whatever_a_card_says_it_ends(said: list[bytes], size: int, ne: int | None) -> None:
    card = Script(*said)
    try:
        response = exchange(card, with_data(size, ne))
    except MisbehaviourError:
        pass
    else:
        assert len(response.data) <= MOST_DATA
        assert response.sw >> 8 != 0x61 or size > 255
    assert len(card.sent) <= MOST_COMMANDS + 2
