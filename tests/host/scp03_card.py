"""The other end of an SCP03 channel: a card that knows its keys and lies when told to, or a recorded one."""

from dataclasses import dataclass, field

import pytest

from apdu.cipher import aes_block, cbc_decrypt, cbc_encrypt, cmac
from apdu.command import CommandApdu
from apdu.errors import SecureChannelError
from apdu.response import ResponseApdu
from host.scp03 import HostChannel, InitializeUpdateAnswer, StaticKeys, derive
from tests.vectors.scp03 import Session

KEYS = StaticKeys(bytes(range(16)), bytes(range(16, 32)), bytes(range(32, 48)))
HOST_CHALLENGE, CARD_CHALLENGE = b"hostrand", b"cardrand"
READ = CommandApdu(0x80, 0xCA, 0x01, 0x00, ne=256)
STORE = CommandApdu(0x80, 0xE2, 0x88, 0x00, b"some data", 256)


@dataclass
class Card:
    """A card that knows its keys and can be told to lie; the key derivation is the one that vectors check."""

    level: int
    challenge: bytes = CARD_CHALLENGE
    i: int = 0x70
    keys: StaticKeys = KEYS
    chain: bytes = field(default=bytes(16), init=False)
    counter: int = field(default=0, init=False)

    @property
    def context(self) -> bytes:
        return HOST_CHALLENGE + self.challenge

    @property
    def s_enc(self) -> bytes:
        return derive(self.keys.enc, 0x04, self.context, 16)

    def offer(self) -> bytes:
        s_mac = derive(self.keys.mac, 0x06, self.context, 16)
        begin = bytes(10) + bytes((0x30, 3, self.i)) + self.challenge
        return begin + derive(s_mac, 0x00, self.context, 8) + b"\0\0\1"

    def take(self, wrapped: CommandApdu) -> bytes:
        """Follow the chain and return the command's data in clear."""
        data, mac = wrapped.data[:-8], wrapped.data[-8:]
        s_mac = derive(self.keys.mac, 0x06, self.context, 16)
        self.chain = cmac(s_mac, self.chain + wrapped.header + bytes((len(wrapped.data),)) + data)
        assert mac == self.chain[:8]
        if wrapped.ins == 0x82:
            return data
        self.counter += 1
        return unpadded(cbc_decrypt(self.s_enc, self.icv(0), data)) if self.level & 0x02 and data else data

    def icv(self, top: int) -> bytes:
        return aes_block(self.s_enc, bytes((top,)) + self.counter.to_bytes(15))

    def answer(self, data: bytes, sw: int = 0x9000) -> ResponseApdu:
        """Protect an answer; ``data`` are sent as they are."""
        s_rmac = derive(self.keys.mac, 0x07, self.context, 16)
        return ResponseApdu(data + cmac(s_rmac, self.chain + data + sw.to_bytes(2))[:8], sw)

    def encrypted(self, padded_data: bytes) -> bytes:
        """Encrypt an answer's data, whatever their padding is."""
        return cbc_encrypt(self.s_enc, self.icv(0x80), padded_data)


def unpadded(data: bytes) -> bytes:
    plain, mark, _ = data.rpartition(b"\x80")
    assert mark
    return plain


def padded(data: bytes) -> bytes:
    return data + b"\x80" + bytes(-(len(data) + 1) % 16)


def dialogue(level: int) -> tuple[HostChannel, Card]:
    """An open channel and the card at its other end."""
    channel, card = HostChannel(HOST_CHALLENGE, level), Card(level)
    card.take(channel.external_authenticate(InitializeUpdateAnswer.decode(card.offer()), KEYS))
    return channel, card


def replayed(session: Session) -> HostChannel:
    """The host's channel of a recorded session, opened."""
    channel = HostChannel(session.host_challenge, session.level, session.key_version)
    answer = InitializeUpdateAnswer.decode(session.initialize_update_response_data)
    channel.external_authenticate(answer, static_keys(session))
    return channel


def static_keys(session: Session) -> StaticKeys:
    return StaticKeys(session.static_enc, session.static_mac, bytes(len(session.static_enc)))


def recorded_answer(session: Session) -> ResponseApdu:
    data, sw = session.recorded.wrapped_response_data, session.recorded.status
    assert data is not None
    assert sw is not None
    return ResponseApdu(data, sw)


def assert_closed(channel: HostChannel) -> None:
    for use in (
        lambda: channel.wrap(READ),
        lambda: channel.unwrap(ResponseApdu()),
        lambda: channel.dek_encrypt(bytes(16)),
    ):
        with pytest.raises(SecureChannelError, match="closed"):
            use()


def refused(channel: HostChannel, answer: ResponseApdu, why: str) -> None:
    with pytest.raises(SecureChannelError, match=why):
        channel.unwrap(answer)
    assert_closed(channel)
