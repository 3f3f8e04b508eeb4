"""SCP03, the host's side: cards and lines that lie are refused, and the channel is closed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apdu.command import CommandApdu
from apdu.commands import SECURITY_LEVELS
from apdu.errors import FormatError, SecureChannelError
from apdu.response import ResponseApdu
from host.scp03 import HostChannel, InitializeUpdateAnswer, StaticKeys
from tests.host.scp03_card import (
    HOST_CHALLENGE,
    KEYS,
    READ,
    STORE,
    Card,
    assert_closed,
    dialogue,
    recorded_answer,
    refused,
    replayed,
)
from tests.vectors.scp03 import Session, sessions

R_MAC_LEVELS = [level for level in SECURITY_LEVELS if level & 0x10]
WITH_R_MAC = [session for session in sessions() if session.level & 0x10]

# --- opening is refused ------------------------------------------------------------------------------------


def refused_to_open(card: Card, why: str, level: int = 0x33, key_version: int = 0, keys: StaticKeys = KEYS) -> None:
    channel = HostChannel(HOST_CHALLENGE, level, key_version)
    with pytest.raises(SecureChannelError, match=why):
        channel.external_authenticate(InitializeUpdateAnswer.decode(card.offer()), keys)
    assert_closed(channel)
    with pytest.raises(SecureChannelError, match="opened once"):
        channel.external_authenticate(InitializeUpdateAnswer.decode(Card(level).offer()), KEYS)


def test_card_with_other_keys() -> None:
    refused_to_open(Card(0x33), "cryptogram", keys=StaticKeys(KEYS.enc, bytes(16), KEYS.dek))


@pytest.mark.parametrize("at", range(13, 29))
def test_every_byte_of_challenge_and_cryptogram_counts(at: int) -> None:
    offer = bytearray(Card(0x33).offer())
    offer[at] ^= 1
    channel = HostChannel(HOST_CHALLENGE, 0x33)
    with pytest.raises(SecureChannelError, match="cryptogram"):
        channel.external_authenticate(InitializeUpdateAnswer.decode(bytes(offer)), KEYS)
    assert_closed(channel)


def test_own_challenge_sent_back_even_with_the_right_cryptogram() -> None:
    refused_to_open(Card(0x33, challenge=HOST_CHALLENGE), "our own challenge")


def test_other_key_version_than_asked_for() -> None:
    refused_to_open(Card(0x33), "key version 1", key_version=1)


@pytest.mark.parametrize(("i", "level"), [(0x71, 0x01), (0x10, 0x11), (0x30, 0x33), (0x10, 0x13)])
def test_card_that_cannot_do_the_level(i: int, level: int) -> None:
    refused_to_open(Card(level, i=i), "no S8 mode", level=level)


@pytest.mark.parametrize(("i", "level"), [(0x10, 0x03), (0x30, 0x13), (0x70, 0x33)])
def test_card_that_can(i: int, level: int) -> None:
    offer = InitializeUpdateAnswer.decode(Card(level, i=i).offer())
    assert HostChannel(HOST_CHALLENGE, level).external_authenticate(offer, KEYS).p1 == level


@pytest.mark.parametrize("size", [size for size in range(40) if size not in (29, 32)])
def test_answer_of_another_size(size: int) -> None:
    with pytest.raises(SecureChannelError, match=f"gave {size}"):
        InitializeUpdateAnswer.decode((Card(0x33).offer() + bytes(8))[:size])


def test_answer_without_the_sequence_counter_that_it_announces() -> None:
    with pytest.raises(SecureChannelError, match="parameter i is 70"):
        InitializeUpdateAnswer.decode(Card(0x33).offer()[:29])
    assert InitializeUpdateAnswer.decode(Card(0x33, i=0x60).offer()[:29]).sequence_counter == b""


def test_card_of_another_protocol() -> None:
    offer = bytearray(Card(0x33).offer())
    offer[11] = 2
    with pytest.raises(SecureChannelError, match="SCP02"):
        InitializeUpdateAnswer.decode(bytes(offer))


@pytest.mark.parametrize("level", sorted(set(range(256)) - set(SECURITY_LEVELS)))
def test_there_is_no_other_level(level: int) -> None:
    with pytest.raises(FormatError, match="security level"):
        HostChannel(HOST_CHALLENGE, level)


@pytest.mark.parametrize("size", [0, 7, 9])
def test_host_challenge_has_eight_bytes(size: int) -> None:
    with pytest.raises(FormatError, match="8 bytes"):
        HostChannel(bytes(size), 0x33)


def test_channel_that_is_not_open_carries_nothing() -> None:
    with pytest.raises(SecureChannelError, match="not open yet"):
        HostChannel(HOST_CHALLENGE, 0x33).wrap(READ)


# --- answers are refused -----------------------------------------------------------------------------------


@pytest.mark.parametrize("level", R_MAC_LEVELS)
@pytest.mark.parametrize("sw", [0x9000, 0x6200, 0x6283, 0x6300, 0x63C2])
@pytest.mark.parametrize("size", [0, 1, 7, 8, 16])
def test_success_and_warnings_without_a_mac(level: int, sw: int, size: int) -> None:
    channel, card = dialogue(level)
    card.take(channel.wrap(READ))
    refused(channel, ResponseApdu(bytes(size), sw), "missing or wrong")


@pytest.mark.parametrize("level", R_MAC_LEVELS)
@pytest.mark.parametrize("sw", [0x6985, 0x6A80, 0x6700, 0x6110, 0x6C10, 0x9504, 0x9001])
def test_error_words_pass_without_a_mac_and_without_data(level: int, sw: int) -> None:
    channel, card = dialogue(level)
    card.take(channel.wrap(READ))
    assert channel.unwrap(ResponseApdu(b"", sw)) == ResponseApdu(b"", sw)
    card.take(channel.wrap(READ))
    refused(channel, card.answer(b"", sw), f"{sw:04X}")


@pytest.mark.parametrize("session", WITH_R_MAC, ids=lambda session: session.name)
def test_every_bit_of_a_recorded_answer_counts(session: Session) -> None:
    genuine = recorded_answer(session).encode()
    for bit in range(8 * len(genuine)):
        channel = replayed(session)
        channel.wrap(CommandApdu.decode(session.recorded.plain_command))
        mutated = (int.from_bytes(genuine) ^ 1 << bit).to_bytes(len(genuine))
        refused(channel, ResponseApdu.decode(mutated), "MAC|unprotected")


@pytest.mark.parametrize("session", WITH_R_MAC, ids=lambda session: session.name)
def test_every_cut_of_a_recorded_answer_is_refused(session: Session) -> None:
    genuine = recorded_answer(session)
    for size in range(len(genuine.data)):
        channel = replayed(session)
        channel.wrap(CommandApdu.decode(session.recorded.plain_command))
        refused(channel, ResponseApdu(genuine.data[:size]), "missing or wrong")


@pytest.mark.parametrize("level", R_MAC_LEVELS)
def test_the_same_answer_again(level: int) -> None:
    channel, card = dialogue(level)
    card.take(channel.wrap(READ))
    answer = card.answer(b"")
    channel.unwrap(answer)
    card.take(channel.wrap(READ))
    refused(channel, answer, "MAC")


@pytest.mark.parametrize("level", SECURITY_LEVELS)
def test_an_answer_that_no_command_waits_for(level: int) -> None:
    channel, card = dialogue(level)
    card.take(channel.wrap(READ))
    answer = card.answer(b"") if level & 0x10 else ResponseApdu()
    channel.unwrap(answer)
    refused(channel, answer, "no command waits")


@pytest.mark.parametrize("level", R_MAC_LEVELS)
def test_answers_in_another_order(level: int) -> None:
    channel, card = dialogue(level)
    card.take(channel.wrap(READ))
    first = card.answer(b"")
    card.take(channel.wrap(STORE))
    refused(channel, first, "MAC")


BAD_PADDING = [
    bytes(16),
    bytes(32),
    b"\x80" + bytes(31),
    bytes(15) + b"\x81",
    b"\x80" * 15 + b"\x01",
    b"\xff" * 16,
]


@pytest.mark.parametrize("block", BAD_PADDING, ids=bytes.hex)
def test_bad_padding_under_a_good_mac(block: bytes) -> None:
    channel, card = dialogue(0x33)
    card.take(channel.wrap(READ))
    refused(channel, card.answer(card.encrypted(block)), "padding")


@pytest.mark.parametrize("size", [1, 15, 17])
def test_encrypted_answer_of_broken_blocks(size: int) -> None:
    channel, card = dialogue(0x33)
    card.take(channel.wrap(READ))
    refused(channel, card.answer(bytes(size)), "whole blocks")


@given(raw=st.binary(min_size=2, max_size=300))
def test_no_made_up_answer_reaches_the_caller(raw: bytes) -> None:
    channel, card = dialogue(0x33)
    card.take(channel.wrap(READ))
    try:
        answer = channel.unwrap(ResponseApdu.decode(raw))
    except SecureChannelError:
        assert_closed(channel)
    else:
        assert answer.data == b""
        assert answer.sw != 0x9000
        assert answer.sw >> 8 not in (0x62, 0x63)
