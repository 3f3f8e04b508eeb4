"""Redaction: no PIN and no key stays, everything else does, and nothing makes it fail."""

from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apdu.command import CHAINING, CommandApdu
from apdu.commands import COMMANDS, Command, Ins
from apdu.dgi import Dgi, encode_dgi
from apdu.payload import Tag
from apdu.trace.model import Exchange, Item, Remark, Reset
from apdu.trace.redaction import MOST_CHANNELS, Redactor, redact

SECRET = bytes(range(0x41, 0x51))
"""16 bytes, none of them zero, that occur nowhere else."""
OK = b"\x90\x00"
OPEN_AT_C_MAC, OPEN_AT_C_ENC = (
    CommandApdu(0x84, Ins.EXTERNAL_AUTHENTICATE, level, 0, bytes(16)).encode() for level in (0x01, 0x03)
)
UNKNOWN, KEY = 0x8113, encode_dgi(Dgi.REFERENCE_DATA, SECRET)


def through(*commands: bytes, answer: bytes = OK) -> list[Exchange]:
    redactor = Redactor()
    found = [redactor.redact(Exchange(command, answer)) for command in commands]
    return [item for item in found if isinstance(item, Exchange)]


def store(p1: int, data: bytes, cla: int = 0x80, p2: int = 0) -> bytes:
    return CommandApdu(cla, Ins.STORE_DATA, p1, p2, data).encode()


def group(number: int, value: bytes) -> bytes:
    return number.to_bytes(2) + bytes((len(value),)) + value


def shows(exchanges: Iterable[Exchange]) -> bool:
    """Whether any two bytes of the secret are there."""
    said = [part for one in exchanges for part in (one.command, one.response or b"")]
    return any(SECRET[at : at + 2] in part for at in range(len(SECRET) - 1) for part in said)


SECRET_COMMANDS = [
    "0020008110{}",
    "8020008110{}",
    "0C20008110{}",
    "1020008110{}",
    "002000811000{}00",
    "0020008100 0010{}",
    "0020008100 0010{} 0000",
    "0021008110{}",
    "0024008110{}",
    "0026008110{}",
    "0028008110{}",
    "002C008110{}",
    "00D8018110{}",
    "80D8018112 0188{}",
    "84D8018112 0188{}",
    "FF82000010{}",
    "00DA00D310{}",
    "00DA00D510{}",
    "00DB3FFF11 4D{}",
    "00FE079B10{}",
    "00FFFFFF13 039B10{}",
    "002A868010{}",
    "80E2880010{}",
    "80E2880013 801010{}",
    "80E2880016 811313{}",
    "80E2A80013 801010{}",
    "80E2900012 9F1010{}",
    "80E2900013 010110{}",
    "84E2880013 801010{}",
]


@pytest.mark.parametrize("text", SECRET_COMMANDS)
def test_commands_of_every_standard_lose_their_secret(text: str) -> None:
    command = bytes.fromhex(text.format(SECRET.hex()))
    assert shows([Exchange(command, None)])
    said = redact(Exchange(command, OK))
    assert not shows([said])
    assert said.command[:4] == command[:4]
    assert len(said.command) == len(command)


@pytest.mark.parametrize("text", [text for text in SECRET_COMMANDS if "FFFF" not in text])
@pytest.mark.parametrize("cut", [1, 3, 9])
def test_a_secret_in_a_command_that_was_cut_off_is_blanked(text: str, cut: int) -> None:
    assert not shows([redact(Exchange(bytes.fromhex(text.format(SECRET.hex()))[:-cut], None))])


def test_the_places_are_told_and_nothing_beside_them_is_touched() -> None:
    command = CommandApdu(0x00, Ins.VERIFY, 0, 0x81, SECRET[:8]).encode()
    said = Exchange(command, b"\x63\xc2", "left", 1.5, 0.25)
    assert redact(said) == replace(said, command=command[:5] + bytes(8), redacted=(("command", 5, 13),))


@pytest.mark.parametrize("row", [row for row in COMMANDS if row.secret], ids=lambda row: row.name)
def test_what_the_command_table_calls_secret_is_blanked(row: Command) -> None:
    assert not shows([redact(Exchange(CommandApdu(0, row.ins, 0, 0x81, SECRET).encode(), OK))])


def test_the_command_table_calls_every_pin_secret() -> None:
    assert {row.ins for row in COMMANDS if row.secret} == {
        Ins.VERIFY,
        Ins.CHANGE_REFERENCE_DATA,
        Ins.RESET_RETRY_COUNTER,
    }
    # PAY and its kin name no object that holds a PIN: REFERENCE_DATA tells tries, and is only read
    assert not any(Tag.REFERENCE_DATA in row.carries for row in COMMANDS)


@pytest.mark.parametrize(
    "row", [row for row in COMMANDS if not row.secret and row.ins is not Ins.PUT_KEY], ids=lambda row: row.name
)
def test_every_other_command_of_the_table_stays(row: Command) -> None:
    data = encode_dgi(Dgi.CERTIFICATE, SECRET) if row.ins == Ins.STORE_DATA else SECRET
    said = Exchange(CommandApdu(row.cla, row.ins, 0x88, 0, data, 256).encode(), SECRET + OK)
    assert redact(said) == said


@pytest.mark.parametrize(
    "text", ["00", "", "0020", "002000", "00200081", "0020008100", "00CA010000", "00220081", "FFCA000000"]
)
def test_what_has_no_secret_stays(text: str) -> None:
    said = Exchange(bytes.fromhex(text), SECRET + OK)
    assert redact(said) == said


# --- STORE DATA and secure channels ---------------------------------------------------------------------------


def test_open_groups_stay_beside_secret_ones() -> None:
    first, last = encode_dgi(Dgi.PARAMETERS, b"\1" * 27), encode_dgi(Dgi.CREDIT, b"\2" * 96)
    [said] = through(store(0x88, first + KEY + last))
    blanked = first + KEY[:3] + bytes(16) + last
    assert said.command == store(0x88, blanked)
    assert said.redacted == (("command", 5 + len(first) + 3, 5 + len(first) + len(KEY)),)


def test_a_group_that_is_said_to_be_encrypted_is_blanked_too() -> None:
    assert not shows(through(store(0xE8, KEY)))
    assert not shows(through(store(0x68, group(UNKNOWN, SECRET))))


def test_a_long_group_is_blanked() -> None:
    data = UNKNOWN.to_bytes(2) + b"\xff\x01\x20" + SECRET * 18
    [said] = through(store(0x88, data))
    assert said.command[:12] == store(0x88, data)[:12]
    assert not shows([said])


@pytest.mark.parametrize("split", range(1, len(KEY)))
def test_a_group_that_is_torn_over_blocks_is_blanked_in_all_of_them(split: int) -> None:
    said = through(store(0x08, KEY[:split]), store(0x08, KEY[split:], p2=1), store(0x88, SECRET, p2=2))
    assert not shows(said)


@pytest.mark.parametrize("split", range(1, len(KEY)))
def test_a_group_that_is_torn_over_a_chain_is_blanked_in_all_of_it(split: int) -> None:
    assert not shows(through(store(0x88, KEY[:split], cla=0x80 | CHAINING), store(0x88, KEY[split:])))


def test_a_torn_group_does_not_pass_for_an_open_one() -> None:
    inner = encode_dgi(Dgi.CERTIFICATE, SECRET)
    head = group(UNKNOWN, inner)[:3]
    assert not shows(through(store(0x08, head), store(0x88, inner, p2=1)))
    assert not shows(through(store(0x88, head, cla=0x80 | CHAINING), store(0x88, inner)))
    assert not shows(through(store(0x88, head, cla=0x80 | CHAINING, p2=3), store(0x88, inner, p2=3)))


def test_after_the_last_block_groups_are_read_anew() -> None:
    certificate = encode_dgi(Dgi.CERTIFICATE, SECRET)
    assert shows(through(store(0x88, KEY[:5]), store(0x88, certificate, p2=1)))
    assert shows(through(store(0x08, KEY[:5]), store(0x88, certificate)))
    assert not shows(through(store(0x08, KEY[:5]), store(0x88, certificate, p2=1)))


def test_a_channel_that_only_has_macs_does_not_hide_groups() -> None:
    data = encode_dgi(Dgi.PARAMETERS, b"\1" * 27) + KEY + b"MACofS8!"
    said = through(OPEN_AT_C_MAC, store(0x88, data, cla=0x84))
    assert not shows(said)
    assert said[1].command.endswith(b"MACofS8!")


def test_what_a_channel_encrypts_stays() -> None:
    wrapped = store(0x88, SECRET * 2, cla=0x84)
    assert through(OPEN_AT_C_ENC, wrapped)[1].command == wrapped


def test_a_pin_that_a_channel_encrypts_stays_and_one_that_it_does_not_is_blanked() -> None:
    encrypted = CommandApdu(0x04, 0x20, 0, 0x81, bytes(range(1, 25))).encode()
    assert through(OPEN_AT_C_ENC, encrypted)[1].command == encrypted
    for opened, size in ((OPEN_AT_C_MAC, 24), (OPEN_AT_C_ENC, 16), (OPEN_AT_C_ENC, 8)):
        plain = CommandApdu(0x04, 0x20, 0, 0x81, bytes(range(1, size + 1))).encode()
        assert through(opened, plain)[1].command == plain[:5] + bytes(size)
    assert through(OPEN_AT_C_ENC, b"\x00" + encrypted[1:])[1].command == b"\x00" + encrypted[1:5] + bytes(24)


def test_new_keys_are_blanked_in_a_channel_too_whose_own_keys_may_be_known_to_everybody() -> None:
    put_key = CommandApdu(0x84, 0xD8, 0, 0x81, SECRET + bytes(range(1, 9))).encode()
    assert through(OPEN_AT_C_ENC, put_key)[1].command == put_key[:5] + bytes(24)


@pytest.mark.parametrize("end", ["00A4040000", "8050000008" + "11" * 8])
def test_a_channel_ends_with_the_next_selection_or_challenge(end: str) -> None:
    assert not shows(through(OPEN_AT_C_ENC, bytes.fromhex(end), store(0x88, SECRET * 2, cla=0x84)))


def test_a_channel_that_the_card_refused_is_not_open() -> None:
    assert not shows(through(OPEN_AT_C_ENC, store(0x88, SECRET * 2, cla=0x84), answer=b"\x69\x82"))


def test_a_channel_hides_nothing_that_is_not_wrapped() -> None:
    assert not shows(through(OPEN_AT_C_ENC, store(0x88, KEY)))


def test_a_channel_belongs_to_its_slot_and_logical_channel() -> None:
    wrapped = store(0x88, SECRET * 2, cla=0x84)
    for other in (Exchange(wrapped, OK, "right"), Exchange(b"\x85" + wrapped[1:], OK, "left")):
        redactor = Redactor()
        redactor.redact(Exchange(OPEN_AT_C_ENC, OK, "left"))
        found = redactor.redact(other)
        assert isinstance(found, Exchange)
        assert not shows([found])
        assert redactor.redact(Exchange(wrapped, OK, "left")) == Exchange(wrapped, OK, "left")


def test_a_reset_ends_the_channels_of_its_slot() -> None:
    redactor, wrapped = Redactor(), Exchange(store(0x88, SECRET * 2, cla=0x84), OK, "left")
    redactor.redact(Exchange(OPEN_AT_C_ENC, OK, "left"))
    assert redactor.redact(Reset(slot="right")) == Reset(slot="right")
    assert redactor.redact(wrapped) == wrapped
    redactor.redact(Reset(slot="left"))
    assert redactor.redact(wrapped) != wrapped


# --- chains and answers ---------------------------------------------------------------------------------------


def test_a_private_key_is_blanked_in_every_part_of_its_chain() -> None:
    parts = [CommandApdu(0x10, 0xDB, 0x3F, 0xFF, b"\x4d" + SECRET), CommandApdu(0x10, 0xDB, 0x3F, 0xFF, SECRET)]
    parts.append(CommandApdu(0x00, 0xDB, 0x3F, 0xFF, SECRET))
    said = through(*(part.encode() for part in parts), parts[2].encode())
    assert not shows(said[:3])
    assert shows(said[3:])


def test_what_was_deciphered_is_blanked_to_its_last_piece() -> None:
    redactor = Redactor()
    answers = {"002A808610" + "22" * 16: "6110", "00C0000010": "6108", "00C0000008": "9000", "00CA010000": "9000"}
    said = [
        redactor.redact(Exchange(bytes.fromhex(command), SECRET + bytes.fromhex(sw))) for command, sw in answers.items()
    ]
    found = [item for item in said if isinstance(item, Exchange)]
    assert not shows(found[:3])
    assert found[0].redacted == (("response", 0, 16),)
    assert [item.response[-2:].hex() for item in found if item.response] == list(answers.values())
    assert shows(found[3:])


@pytest.mark.parametrize("command", ["002A808610" + "22" * 16, "002A80860000000004AABBCCDD0000"])
@pytest.mark.parametrize("between", [["6105"], ["6C05"], ["6105", "6C05"], ["6105", "6C03", "6102"]])
def test_what_was_deciphered_is_blanked_on_every_way_to_it(command: str, between: list[str]) -> None:
    redactor = Redactor()
    redactor.redact(Exchange(bytes.fromhex(command), bytes.fromhex(between[0])))
    for word in [*between[1:], "9000"]:
        data = b"" if word.startswith("6C") else SECRET
        said = redactor.redact(Exchange(bytes.fromhex("00C0000005"), data + bytes.fromhex(word)))
        assert isinstance(said, Exchange)
        assert not shows([said])


def test_a_command_is_blanked_before_its_answer_is_there() -> None:
    redactor = Redactor()
    command = CommandApdu(0x00, 0x2A, 0x80, 0x86, b"\x22", 256).encode()
    sent = redactor.sent(Exchange(command, SECRET + OK, "left", 1.5))
    assert sent == Exchange(command, None, "left", 1.5)
    assert redactor.answered(sent, None, 2.0) == replace(sent, seconds=2.0)
    sent = redactor.sent(sent)
    assert redactor.answered(sent, SECRET + OK, 0.5) == Exchange(
        command, bytes(16) + OK, "left", 1.5, 0.5, (("response", 0, 16),)
    )


def test_remarks_stay() -> None:
    assert Redactor().redact(Remark("said")) == Remark("said")


# --- anything -------------------------------------------------------------------------------------------------

INSTRUCTIONS = st.sampled_from([*Ins, 0xD8, 0xDA, 0xDB, 0x2A, 0xFE, 0xFF, 0x82])
CLASSES = st.sampled_from([0x00, 0x10, 0x80, 0x84, 0x90, 0x94, 0xC0, 0xFF])
DATA = st.one_of(
    st.binary(max_size=40),
    st.lists(st.builds(group, st.sampled_from([*Dgi, UNKNOWN]), st.binary(max_size=20)), max_size=3).map(b"".join),
    st.binary(max_size=20).map(lambda rest: b"\x4d" + rest),
)
APDUS = st.builds(
    lambda cla, ins, p1, p2, data, ne: CommandApdu(cla, ins, p1, p2, data, ne).encode(),
    CLASSES,
    INSTRUCTIONS,
    st.sampled_from([0, 1, 3, 0x08, 0x88, 0x3F, 0x80, 0x86, 0xE8]),
    st.sampled_from([0, 1, 0x80, 0x81, 0x86, 0xD3, 0xFF]),
    DATA,
    st.sampled_from([None, 256, 65536]),
)
COMMAND = st.one_of(
    APDUS, st.binary(max_size=12), APDUS.flatmap(lambda raw: st.integers(0, len(raw)).map(lambda n: raw[:n]))
)
ANSWER = st.none() | st.binary(max_size=6) | st.binary(max_size=8).map(lambda data: data + OK)
ITEMS = st.lists(
    st.one_of(
        st.builds(Exchange, COMMAND, ANSWER, st.sampled_from(["", "right"])), st.builds(Reset, slot=st.just("right"))
    ),
    max_size=8,
)


def all_redacted(items: Iterable[Item]) -> list[Item]:
    redactor = Redactor()
    return [redactor.redact(item) for item in items]


def blanked(part: str, before: bytes | None, item: Exchange) -> bytes | None:
    """What there was, with zeros where the item says so."""
    if before is None:
        return None
    marked = bytearray(before)
    for _, start, end in [blank for blank in item.redacted if blank[0] == part]:
        assert 0 <= start < end <= len(before)
        marked[start:end] = bytes(end - start)
    return bytes(marked)


@given(ITEMS)
def test_exactly_the_places_that_are_told_are_blanked(items: list[Item]) -> None:
    for before, after in zip(items, all_redacted(items), strict=True):
        if isinstance(before, Exchange):
            assert isinstance(after, Exchange)
            assert after.command == blanked("command", before.command, after)
            assert after.response == blanked("response", before.response, after)


@given(ITEMS)
def test_redacting_again_changes_nothing(items: list[Item]) -> None:
    once = all_redacted(items)
    assert all_redacted(once) == once


@given(ITEMS)
def test_no_command_of_a_pin_keeps_its_data(items: list[Item]) -> None:
    for item in all_redacted(items):
        if isinstance(item, Exchange) and item.command[1:2] in (b"\x20", b"\x24", b"\x2c", b"\xd8"):
            assert not any(item.command[7:-2])


def test_no_trace_makes_the_state_grow_without_end() -> None:
    redactor = Redactor()
    for number in range(2 * MOST_CHANNELS):
        redactor.redact(Exchange(b"\x00\xca\x00\x00", OK, str(number)))
    assert len(redactor._channels) == MOST_CHANNELS
