"""Command and response APDUs: all cases, short and extended, there and back, and what does not parse."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apdu.command import CHAINING, SECURE_MESSAGING, CommandApdu
from apdu.errors import FormatError
from apdu.response import ResponseApdu

BYTE = st.integers(0, 255)
EDGES = (0, 1, 2, 127, 128, 254, 255, 256, 257, 1024, 65534, 65535)
DATA = st.one_of(st.binary(max_size=300), st.sampled_from(EDGES).map(bytes))
NE = st.none() | st.integers(1, 65536) | st.sampled_from([1, 255, 256, 257, 65535, 65536])
COMMANDS = st.builds(CommandApdu, BYTE, BYTE, BYTE, BYTE, DATA, NE)

SPELLED = [
    ("00a40400", CommandApdu(0x00, 0xA4, 4, 0), 1),
    ("00ca010000", CommandApdu(0x00, 0xCA, 1, 0, ne=256), 2),
    ("00ca010005", CommandApdu(0x00, 0xCA, 1, 0, ne=5), 2),
    ("00ca01000000ff00", None, 0),
    ("00ca01000000000100", None, 0),
    ("00a404000101", CommandApdu(0x00, 0xA4, 4, 0, b"\x01"), 3),
    ("00a40400010100", CommandApdu(0x00, 0xA4, 4, 0, b"\x01", 256), 4),
    ("00ca0100000101", CommandApdu(0x00, 0xCA, 1, 0, ne=257), 2),
    ("00ca0100000000", CommandApdu(0x00, 0xCA, 1, 0, ne=65536), 2),
    ("80320000000100" + "aa" * 256, CommandApdu(0x80, 0x32, 0, 0, b"\xaa" * 256), 3),
    ("80320000000100" + "aa" * 256 + "0000", CommandApdu(0x80, 0x32, 0, 0, b"\xaa" * 256, 65536), 4),
    ("803200000000010a0400", CommandApdu(0x80, 0x32, 0, 0, b"\x0a", 1024), 4),
]
"""As ISO 7816-3 clause 12.1.3 writes them."""


@pytest.mark.parametrize(("spelled", "command", "case"), SPELLED)
def test_as_the_standard_writes_it(spelled: str, command: CommandApdu | None, case: int) -> None:
    if command is None:
        with pytest.raises(FormatError):
            CommandApdu.decode(bytes.fromhex(spelled))
        return
    assert (command.encode().hex(), command.case) == (spelled, case)
    assert CommandApdu.decode(bytes.fromhex(spelled)) == command


@given(COMMANDS)
def test_there_and_back(command: CommandApdu) -> None:
    encoded = command.encode()
    assert CommandApdu.decode(encoded) == command
    assert encoded[:4] == command.header
    assert command.extended == (len(command.data) > 255 or (command.ne or 0) > 256)


@given(st.binary(max_size=600))
def test_bytes_parse_or_raise_format_error(raw: bytes) -> None:
    try:
        command = CommandApdu.decode(raw)
    except FormatError:
        return
    assert CommandApdu.decode(command.encode()) == command


@given(COMMANDS, st.integers(1, 40))
def test_a_command_cut_short_is_never_taken_for_one_with_all_its_data(command: CommandApdu, less: int) -> None:
    raw = command.encode()[:-less]
    with suppress(FormatError):
        assert CommandApdu.decode(raw) != command


@pytest.mark.parametrize("ne", [0, -1, 65537])
def test_ne_out_of_range_has_no_encoding(ne: int) -> None:
    with pytest.raises(FormatError, match="Ne"):
        CommandApdu(0, 0, 0, 0, ne=ne).encode()


def test_data_too_long_has_no_encoding() -> None:
    with pytest.raises(FormatError, match="65536 bytes"):
        CommandApdu(0, 0, 0, 0, bytes(65536)).encode()


@pytest.mark.parametrize("size", range(4))
def test_a_command_has_four_bytes_at_least(size: int) -> None:
    with pytest.raises(FormatError, match="at least 4") as caught:
        CommandApdu.decode(bytes(size))
    assert caught.value.offset == size


def test_with_data_keeps_the_rest() -> None:
    command = CommandApdu(0x80, 0x32, 1, 2, b"a", 7)
    assert command.with_data(b"b") == CommandApdu(0x80, 0x32, 1, 2, b"b", 7)
    assert command.with_data(b"", 0x84) == CommandApdu(0x84, 0x32, 1, 2, b"", 7)


def test_class_bits_are_those_of_the_standards() -> None:
    assert (CHAINING, SECURE_MESSAGING) == (0b0001_0000, 0b0000_0100)


@given(st.binary(max_size=70_000), st.integers(0, 0xFFFF))
def test_response_there_and_back(data: bytes, sw: int) -> None:
    response = ResponseApdu(data, sw)
    assert ResponseApdu.decode(response.encode()) == response


def test_response_ends_in_its_status_word() -> None:
    assert ResponseApdu.decode(b"\x01\x02\x63\xc2") == ResponseApdu(b"\x01\x02", 0x63C2)
    assert ResponseApdu().encode() == b"\x90\x00"


@pytest.mark.parametrize("raw", [b"", b"\x90"])
def test_an_answer_shorter_than_a_status_word(raw: bytes) -> None:
    with pytest.raises(FormatError, match="at least 2"):
        ResponseApdu.decode(raw)
