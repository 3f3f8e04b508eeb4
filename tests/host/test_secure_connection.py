"""A connection with SCP03 in it, against recorded sessions of a real card."""

from collections.abc import Iterator

import pytest

from apdu.errors import CardResetError, FormatError, MisbehaviourError, SecureChannelError
from apdu.status import StatusError
from host.scp03 import InitializeUpdateAnswer, StaticKeys
from host.secure_connection import SecureConnection
from tests.vectors.scp03 import Session, sessions


class Recording:
    """A card's recorded answers: each comes to its own command only."""

    def __init__(self, *exchanges: tuple[bytes, bytes]) -> None:
        self.exchanges: Iterator[tuple[bytes, bytes]] = iter(exchanges)

    def transmit(self, command: bytes) -> bytes:
        try:
            expected, answer = next(self.exchanges)
        except StopIteration:
            raise CardResetError("the recording has ended") from None
        assert command == expected
        return answer


def opening(session: Session) -> list[tuple[bytes, bytes]]:
    offer = session.initialize_update_response_data + b"\x90\x00"
    return [(session.initialize_update_command, offer), (session.external_authenticate_command, b"\x90\x00")]


def first_exchange(session: Session) -> tuple[bytes, bytes]:
    return session.recorded.wrapped_command, (session.recorded.wrapped_response_data or b"") + b"\x90\x00"


def opened(session: Session, recording: Recording) -> SecureConnection:
    def keys_for(answer: InitializeUpdateAnswer) -> StaticKeys:
        assert (answer.diversification_data, answer.key_version) == (bytes(10), session.key_version)
        return StaticKeys(session.static_enc, session.static_mac, bytes(len(session.static_enc)))

    return SecureConnection.open(recording, keys_for, session.level, session.key_version, session.host_challenge)


@pytest.mark.parametrize("session", sessions(), ids=lambda session: session.name)
def test_recorded_session_in_clear_above_and_protected_below(session: Session) -> None:
    connection = opened(session, Recording(*opening(session), first_exchange(session)))
    answer = connection.transmit(session.recorded.plain_command)
    assert answer == (session.recorded.plain_response_data or b"") + b"\x90\x00"


SESSION = sessions()[0]


def test_card_that_refuses_initialize_update() -> None:
    with pytest.raises(StatusError, match=r"INITIALIZE UPDATE.*6985"):
        opened(SESSION, Recording((SESSION.initialize_update_command, b"\x69\x85")))


def test_card_that_refuses_external_authenticate() -> None:
    begin, (command, _) = opening(SESSION)
    with pytest.raises(StatusError, match=r"EXTERNAL AUTHENTICATE.*6982"):
        opened(SESSION, Recording(begin, (command, b"\x69\x82")))


def test_card_with_a_wrong_cryptogram_is_not_sent_external_authenticate() -> None:
    command, offer = opening(SESSION)[0]
    recording = Recording((command, offer[:28] + b"\0" + offer[29:]), (b"never sent", b""))
    with pytest.raises(SecureChannelError, match="cryptogram"):
        opened(SESSION, recording)
    assert next(recording.exchanges) == (b"never sent", b"")


def test_every_opening_has_another_host_challenge() -> None:
    def challenge() -> bytes:
        sent: list[bytes] = []

        class Listener:
            def transmit(self, command: bytes) -> bytes:
                sent.append(command)
                return b"\x69\x85"

        with pytest.raises(StatusError):
            SecureConnection.open(Listener(), lambda _: StaticKeys(bytes(16), bytes(16), bytes(16)), 0x33)
        return sent[0][5:13]

    assert len({challenge() for _ in range(10)}) == 10


@pytest.mark.parametrize("answer", [b"", b"\x90", b"\x90\x00"])
def test_answer_that_is_too_short_closes_the_channel(answer: bytes) -> None:
    connection = opened(SESSION, Recording(*opening(SESSION), (first_exchange(SESSION)[0], answer)))
    with pytest.raises((MisbehaviourError, SecureChannelError)):
        connection.transmit(SESSION.recorded.plain_command)
    with pytest.raises(SecureChannelError, match="closed"):
        connection.transmit(SESSION.recorded.plain_command)


def test_lost_card_closes_the_channel() -> None:
    connection = opened(SESSION, Recording(*opening(SESSION)))
    with pytest.raises(CardResetError):
        connection.transmit(SESSION.recorded.plain_command)
    with pytest.raises(SecureChannelError, match="closed"):
        connection.transmit(SESSION.recorded.plain_command)


def test_command_that_is_too_long_is_not_sent_and_the_channel_goes_on() -> None:
    connection = opened(SESSION, Recording(*opening(SESSION), first_exchange(SESSION)))
    with pytest.raises(FormatError, match="too long"):
        connection.transmit(bytes.fromhex("80e29100ff") + bytes(255))
    assert connection.transmit(SESSION.recorded.plain_command).endswith(b"\x90\x00")


def test_closing() -> None:
    connection = opened(SESSION, Recording(*opening(SESSION)))
    assert len(connection.dek_encrypt(bytes(32))) == 32
    connection.close()
    with pytest.raises(SecureChannelError, match="closed"):
        connection.dek_encrypt(bytes(16))
