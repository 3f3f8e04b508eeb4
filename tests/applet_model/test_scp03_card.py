"""The card's side of SCP03 against recorded sessions of a real chip, and against everything that does not verify."""

import pytest

from apdu.cipher import BLOCK, aes_block, cbc_encrypt, cmac
from apdu.command import CommandApdu
from apdu.commands import SECURITY_LEVELS
from apdu.response import ResponseApdu
from applet_model.scp03 import CardChannel, SecureMessagingError, SessionKeys, _derive, card_challenge
from tests.vectors.scp03 import Session, kdf_rows, sessions

CHIP_AID = bytes.fromhex("A0000005591010FFFFFFFF8900000100")
"""Name of the application that the recorded chip had selected."""
SESSIONS = sessions()
every_session = pytest.mark.parametrize("session", SESSIONS, ids=lambda session: session.name)


def keys(session: Session) -> SessionKeys:
    context = session.host_challenge + session.initialize_update_response_data[13:21]
    return SessionKeys.derive(session.static_enc, session.static_mac, context)


def opened(session: Session) -> CardChannel:
    channel = CardChannel(keys(session))
    assert channel.authenticate(CommandApdu.decode(session.external_authenticate_command))
    return channel


def flipped(command: CommandApdu, at: int) -> CommandApdu:
    data = bytearray(command.data)
    data[at] ^= 0x01
    return command.with_data(bytes(data))


def test_there_are_nine_sessions_and_forty_rows() -> None:
    assert {(8 * len(one.static_enc), one.level) for one in SESSIONS} == {
        (bits, level) for bits in (128, 192, 256) for level in (0x03, 0x11, 0x33)
    }
    assert (len(SESSIONS), sum(len(one.exchanges) for one in SESSIONS), len(kdf_rows())) == (9, 45, 40)


# --- what the chip did -------------------------------------------------------------------------------------


@every_session
def test_card_challenge_is_the_chips(session: Session) -> None:
    answer = session.initialize_update_response_data
    sequence = int.from_bytes(answer[29:])
    assert card_challenge(session.static_enc, sequence, CHIP_AID) == answer[13:21]


@every_session
def test_card_cryptogram_is_the_chips(session: Session) -> None:
    channel = CardChannel(keys(session))
    assert (channel.card_cryptogram, channel.level) == (session.initialize_update_response_data[21:29], 0)


@every_session
def test_host_is_authenticated_as_the_chip_did(session: Session) -> None:
    assert opened(session).level == session.level


@every_session
def test_every_recorded_command_unwraps(session: Session) -> None:
    channel = opened(session)
    for exchange in session.exchanges:
        assert channel.unwrap(CommandApdu.decode(exchange.wrapped_command)).encode() == exchange.plain_command


@every_session
def test_every_recorded_answer_is_wrapped_alike(session: Session) -> None:
    channel = opened(session)
    recorded = [one for one in session.exchanges if one.wrapped_response_data is not None]
    assert recorded == [session.recorded]
    for exchange in recorded:
        channel.unwrap(CommandApdu.decode(exchange.wrapped_command))
        assert exchange.plain_response_data is not None
        assert exchange.status is not None
        answer = channel.wrap(ResponseApdu(exchange.plain_response_data, exchange.status))
        assert (answer.data, answer.sw) == (exchange.wrapped_response_data, exchange.status)


def test_key_derivation_is_that_of_the_published_rows() -> None:
    for row in kdf_rows():
        assert _derive(row.key, row.constant, row.context, 8 * len(row.derived)) == row.derived


# --- what does not verify ----------------------------------------------------------------------------------


@every_session
def test_external_authenticate_with_any_byte_changed(session: Session) -> None:
    command = CommandApdu.decode(session.external_authenticate_command)
    for at in range(len(command.data)):
        channel = CardChannel(keys(session))
        assert not channel.authenticate(flipped(command, at))
        assert channel.level == 0


@every_session
def test_external_authenticate_at_another_level(session: Session) -> None:
    raw = session.external_authenticate_command
    for level in {*SECURITY_LEVELS} - {session.level}:
        assert not CardChannel(keys(session)).authenticate(CommandApdu.decode(raw[:2] + bytes((level,)) + raw[3:]))


@every_session
def test_a_right_mac_over_a_wrong_cryptogram(session: Session) -> None:
    command, own = CommandApdu.decode(session.external_authenticate_command), keys(session)
    wrong = flipped(command, 0).data[:8]
    mac = cmac(own.mac, bytes(BLOCK) + command.header + b"\x10" + wrong)[:8]
    assert not CardChannel(own).authenticate(command.with_data(wrong + mac))


@every_session
def test_a_command_with_any_byte_changed(session: Session) -> None:
    wrapped = CommandApdu.decode(session.recorded.wrapped_command)
    for at in range(len(wrapped.data)):
        with pytest.raises(SecureMessagingError):
            opened(session).unwrap(flipped(wrapped, at))
    for at in range(4):
        header = bytearray(session.recorded.wrapped_command)
        header[at] ^= 0x08
        with pytest.raises(SecureMessagingError):
            opened(session).unwrap(CommandApdu.decode(bytes(header)))


@every_session
def test_a_command_cut_short(session: Session) -> None:
    wrapped = CommandApdu.decode(session.recorded.wrapped_command)
    for size in range(len(wrapped.data)):
        with pytest.raises(SecureMessagingError):
            opened(session).unwrap(wrapped.with_data(wrapped.data[:size]))


@every_session
def test_replayed_and_reordered_commands(session: Session) -> None:
    first, second = (CommandApdu.decode(exchange.wrapped_command) for exchange in session.exchanges[:2])
    with pytest.raises(SecureMessagingError):
        opened(session).unwrap(second)
    channel = opened(session)
    channel.unwrap(first)
    with pytest.raises(SecureMessagingError):
        channel.unwrap(first)


# --- padding, and answers without a MAC --------------------------------------------------------------------

BARE = SessionKeys(bytes(16), bytes(range(16)), bytes(16), bytes(8), bytes(8))
HEADER = CommandApdu(0x84, 0xE2, 0x00, 0x00)


def authentic(channel_keys: SessionKeys, level: int, data: bytes) -> tuple[CardChannel, CommandApdu]:
    """A channel at a level, and its first command, with these data behind a right MAC."""
    opening = CommandApdu(0x84, 0x82, level, 0x00)
    chain = cmac(channel_keys.mac, bytes(BLOCK) + opening.header + b"\x10" + channel_keys.host_cryptogram)
    channel = CardChannel(channel_keys)
    assert channel.authenticate(opening.with_data(channel_keys.host_cryptogram + chain[:8]))
    mac = cmac(channel_keys.mac, chain + HEADER.header + bytes((len(data) + 8,)) + data)
    return channel, HEADER.with_data(data + mac[:8])


def encrypted(padded: bytes) -> bytes:
    return cbc_encrypt(BARE.enc, aes_block(BARE.enc, (1).to_bytes(BLOCK)), padded)


def test_right_padding() -> None:
    channel, command = authentic(BARE, 0x03, encrypted(b"data\x80".ljust(BLOCK, b"\0")))
    assert channel.unwrap(command).data == b"data"


@pytest.mark.parametrize(
    "padded",
    [
        bytes(BLOCK),
        bytes(2 * BLOCK),
        b"data".ljust(BLOCK, b"\0"),
        b"\x81" * BLOCK,
        b"data\x80".ljust(2 * BLOCK, b"\0"),  # a block of zeros too many
    ],
)
def test_wrong_padding(padded: bytes) -> None:
    channel, command = authentic(BARE, 0x03, encrypted(padded))
    with pytest.raises(SecureMessagingError):
        channel.unwrap(command)


@pytest.mark.parametrize("size", [1, 15, 17])
def test_encrypted_data_of_no_whole_blocks(size: int) -> None:
    channel, command = authentic(BARE, 0x03, bytes(size))
    with pytest.raises(SecureMessagingError):
        channel.unwrap(command)


@pytest.mark.parametrize("level", SECURITY_LEVELS)
@pytest.mark.parametrize("sw", [0x9000, 0x6283, 0x63C2])
def test_success_and_warnings_carry_a_mac_where_the_level_has_one(level: int, sw: int) -> None:
    channel, _ = authentic(BARE, level, b"")
    assert len(channel.wrap(ResponseApdu(b"", sw)).data) == (8 if level & 0x10 else 0)
    size = {0x33: BLOCK + 8, 0x11: 4 + 8, 0x13: 4 + 8}.get(level, 4)
    assert len(channel.wrap(ResponseApdu(b"data", sw)).data) == size


@pytest.mark.parametrize("level", SECURITY_LEVELS)
@pytest.mark.parametrize("sw", [0x6700, 0x6982, 0x6A80, 0x6D00, 0x950B])
def test_error_words_carry_nothing(level: int, sw: int) -> None:
    channel, _ = authentic(BARE, level, b"")
    assert channel.wrap(ResponseApdu(b"data", sw)) == ResponseApdu(b"", sw)


def test_keys_do_not_show() -> None:
    assert BARE.mac.hex() not in repr(BARE)
    assert repr(BARE.mac)[2:-1] not in repr(BARE)
