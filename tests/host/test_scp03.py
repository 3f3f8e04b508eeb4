"""SCP03, the host's side: recorded sessions of a real card, published vectors, whole dialogues."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apdu.cipher import cbc_decrypt
from apdu.command import CommandApdu
from apdu.commands import SECURITY_LEVELS
from apdu.errors import FormatError
from apdu.response import ResponseApdu
from host.scp03 import HostChannel, InitializeUpdateAnswer, StaticKeys, derive, kdf_in_counter_mode
from tests.host.scp03_card import (
    KEYS,
    READ,
    STORE,
    assert_closed,
    dialogue,
    padded,
    recorded_answer,
    static_keys,
)
from tests.vectors.packaged import nist
from tests.vectors.scp03 import KdfRow, Session, kdf_rows, sessions

RECORDED = sessions()

# --- what others recorded and computed ---------------------------------------------------------------------


def test_no_vector_is_lost() -> None:
    assert len(RECORDED) == 9
    assert {(len(s.static_enc), s.level) for s in RECORDED} == {
        (k, v) for k in (16, 24, 32) for v in (0x03, 0x11, 0x33)
    }
    assert [len(session.exchanges) for session in RECORDED] == [5] * 9
    assert len(kdf_rows()) == 40


@pytest.mark.parametrize("row", kdf_rows(), ids=lambda row: f"{row.constant:02X}")
def test_key_derivation(row: KdfRow) -> None:
    assert derive(row.key, row.constant, row.context, len(row.derived)) == row.derived


def test_key_derivation_is_nists_with_the_counter_in_the_middle() -> None:
    wanted = {"CTRLOCATION": "MIDDLE_FIXED", "RLEN": "8_BITS"}
    vectors = [
        v
        for v in nist("KDF/nist-800-108-KBKDF-CTR.txt")
        if v["PRF"].startswith("CMAC_AES") and v.items() >= wanted.items()
    ]
    assert len(vectors) == 120
    for v in vectors:
        before, after = bytes.fromhex(v["DataBeforeCtrData"]), bytes.fromhex(v["DataAfterCtrData"])
        derived = kdf_in_counter_mode(bytes.fromhex(v["KI"]), before, after, int(v["L"]) // 8)
        assert derived.hex() == v["KO"]


@pytest.mark.parametrize("session", RECORDED, ids=lambda session: session.name)
def test_recorded_session(session: Session) -> None:
    channel = HostChannel(session.host_challenge, session.level, session.key_version)
    assert channel.initialize_update().encode() == session.initialize_update_command

    answer = InitializeUpdateAnswer.decode(session.initialize_update_response_data)
    opening = channel.external_authenticate(answer, static_keys(session))
    assert opening.encode() == session.external_authenticate_command

    for exchange in session.exchanges:
        wrapped = channel.wrap(CommandApdu.decode(exchange.plain_command))
        assert wrapped.encode() == exchange.wrapped_command
        if exchange.wrapped_response_data is not None:
            plain = channel.unwrap(recorded_answer(session))
            assert plain == ResponseApdu(exchange.plain_response_data or b"", 0x9000)


def test_fields_of_the_answer_to_initialize_update() -> None:
    answer = InitializeUpdateAnswer.decode(RECORDED[0].initialize_update_response_data)
    assert answer == InitializeUpdateAnswer(
        diversification_data=bytes(10),
        key_version=0x30,
        i=0x70,
        card_challenge=bytes.fromhex("3eb51047495b249f"),
        card_cryptogram=bytes.fromhex("66c484c1d2ef1948"),
        sequence_counter=bytes.fromhex("000002"),
    )


# --- a whole dialogue --------------------------------------------------------------------------------------


@given(
    level=st.sampled_from(SECURITY_LEVELS),
    turns=st.lists(
        st.tuples(st.binary(max_size=231), st.binary(max_size=231), st.sampled_from((0x9000, 0x6283, 0x63C2)))
    ),
)
def test_whatever_is_said_arrives(level: int, turns: list[tuple[bytes, bytes, int]]) -> None:
    channel, card = dialogue(level)
    for said, back, sw in turns:
        assert card.take(channel.wrap(STORE.with_data(said))) == said
        protected = card.encrypted(padded(back)) if back and level & 0x20 else back
        answer = card.answer(protected, sw) if level & 0x10 else ResponseApdu(protected, sw)
        assert channel.unwrap(answer) == ResponseApdu(back, sw)


@pytest.mark.parametrize("level", SECURITY_LEVELS)
def test_command_without_data_is_not_encrypted_and_the_counter_moves(level: int) -> None:
    channel, card = dialogue(level)
    wrapped = channel.wrap(READ)
    assert len(wrapped.data) == 8
    assert card.take(wrapped) == b""
    assert card.take(channel.wrap(STORE)) == STORE.data


@pytest.mark.parametrize(("ne", "wrapped_ne"), [(None, None), (1, 256), (256, 256), (257, 281), (65536, 65536)])
def test_with_an_r_mac_there_is_room_for_it(ne: int | None, wrapped_ne: int | None) -> None:
    for level in SECURITY_LEVELS:
        channel, _ = dialogue(level)
        wrapped = channel.wrap(CommandApdu(0x80, 0xCA, 1, 0, ne=ne))
        assert wrapped.ne == (wrapped_ne if level & 0x10 else ne)


@pytest.mark.parametrize(("level", "most"), [(0x01, 247), (0x11, 247), (0x03, 239), (0x13, 239), (0x33, 239)])
def test_data_that_do_not_fit_leave_the_channel_as_it_was(level: int, most: int) -> None:
    channel, card = dialogue(level)
    with pytest.raises(FormatError, match=f"{most + 1} bytes"):
        channel.wrap(STORE.with_data(bytes(most + 1)))
    assert card.take(channel.wrap(STORE.with_data(bytes(most)))) == bytes(most)


def test_class_byte_says_secure_messaging() -> None:
    channel, _ = dialogue(0x01)
    assert (channel.wrap(READ).cla, channel.wrap(CommandApdu(0x00, 0xB2, 1, 4)).cla) == (0x84, 0x04)


def test_sensitive_values_go_under_the_static_dek() -> None:
    channel, _ = dialogue(0x33)
    assert cbc_decrypt(KEYS.dek, bytes(16), channel.dek_encrypt(b"sixteen bytes ok" * 2)) == b"sixteen bytes ok" * 2
    for plain in (b"", bytes(15), bytes(17)):
        with pytest.raises(FormatError, match="whole blocks"):
            channel.dek_encrypt(plain)


# --- keys --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [(16, 16, 24), (15, 15, 15), (0, 0, 0), (32, 16, 16)])
def test_static_keys_are_of_one_aes_size(sizes: tuple[int, int, int]) -> None:
    with pytest.raises(FormatError, match="one size"):
        StaticKeys(*map(bytes, sizes))


def test_keys_show_themselves_nowhere() -> None:
    channel, _ = dialogue(0x33)
    assert repr(KEYS) == str(KEYS) == "StaticKeys(AES-128, hidden)"
    shown = repr(channel) + repr(channel._session)
    assert not any(key.hex() in shown or repr(key) in shown for key in (KEYS.enc, KEYS.mac, KEYS.dek))


def test_closed_channel_has_forgotten_its_keys() -> None:
    channel, _ = dialogue(0x33)
    channel.close()
    assert channel._session is None
    assert_closed(channel)
