"""The issuer's secure channel with the card under test, step by step: so that a case can spoil each of them."""

import secrets
from copy import copy
from typing import Self

from apdu.cipher import BLOCK, aes_block, cbc_encrypt
from apdu.command import SECURE_MESSAGING, CommandApdu
from apdu.commands import Ins
from apdu.dgi import Dgi, encode_dgi
from apdu.response import ResponseApdu
from apdu.status import StatusWord
from host.scp03 import CHALLENGE_SIZE, HostChannel, InitializeUpdateAnswer, SessionKeys, StaticKeys
from saifu.conformance.stand import SERIAL, Stand
from saifu.conformance.subject import Subject

__all__ = ["CAPACITIES", "LEVEL", "TRIES", "Channel", "flipped", "is_open", "lose_try", "other_version", "parameters"]

LEVEL = 0x33
"""Everything encrypted and with a MAC, in both directions."""
CAPACITIES = (0x01, 0x07)
"""P1 and P2 of GET DATA for an object that every state has."""
TRIES = 10
"""Of EXTERNAL AUTHENTICATE, in a row."""
_NE = 256


def flipped(raw: bytes, at: int, bit: int = 1) -> bytes:
    """The same bytes but for one bit."""
    changed = bytearray(raw)
    changed[at] ^= bit
    return bytes(changed)


def parameters(stand: Stand) -> bytes:
    """The usual parameters as a group of STORE DATA."""
    return encode_dgi(Dgi.PARAMETERS, stand.issuer.parameters(SERIAL).encode())


def is_open(card: Subject) -> None:
    """In an open channel, and only there, a plain GET DATA is declined; raises DeviationError."""
    card.raw(CommandApdu(0x00, Ins.GET_DATA, *CAPACITIES, ne=_NE), StatusWord.SECURITY_STATUS)


def other_version(card: Subject) -> int:
    """A key version that is not the card's: INITIALIZE UPDATE declines it."""
    return card.twin.cells.key_version.number() % 255 + 1


class Channel:
    """One channel from INITIALIZE UPDATE on; a case says in what each command has to end."""

    def __init__(self, card: Subject, level: int = LEVEL, version: int = 0) -> None:
        """INITIALIZE UPDATE to the selected card; raises DeviationError, and FormatError for another level."""
        self.card, self.level = card, level
        challenge = secrets.token_bytes(CHALLENGE_SIZE)
        self._host = HostChannel(challenge, level, version)
        self.answer = InitializeUpdateAnswer.decode(card.send(Ins.INITIALIZE_UPDATE, challenge, p1=version))
        self._context = challenge + self.answer.card_challenge
        self.keys = SessionKeys.of(card.keys, self._context)
        self._block = 0

    def with_keys(self, keys: StaticKeys) -> Self:
        """The same channel for a host that has other keys: its proofs are made with them."""
        other = copy(self)
        other.keys = SessionKeys.of(keys, self._context)
        return other

    @classmethod
    def open(cls, card: Subject, level: int = LEVEL) -> Self:
        """Reset, select, and open a channel."""
        card.fresh()
        channel = cls(card, level)
        channel.authenticate()
        return channel

    def authenticate(self, sw: int = StatusWord.OK) -> None:
        """EXTERNAL AUTHENTICATE as it must be, once; raises SecureChannelError when the card's proof is wrong."""
        self.card.raw(self._host.external_authenticate(self.answer, self.card.keys), sw)

    @property
    def cryptogram(self) -> bytes:
        """The host's right cryptogram, 8 bytes."""
        return self.keys.host_cryptogram(self._context)

    def proof(self, cryptogram: bytes, level: int | None = None) -> CommandApdu:
        """EXTERNAL AUTHENTICATE with any cryptogram and at any level, and the right MAC over them."""
        p1 = self.level if level is None else level
        command = CommandApdu(0x80 | SECURE_MESSAGING, Ins.EXTERNAL_AUTHENTICATE, p1, 0)
        return command.with_data(cryptogram + self.keys.command_mac(bytes(BLOCK), command, cryptogram)[:8])

    # --- the open channel ----------------------------------------------------------------------------------

    def wrapped(
        self, ins: Ins, p1: int = 0, p2: int = 0, data: bytes = b"", cla: int = 0x80, ne: int = _NE
    ) -> CommandApdu:
        """The next command of the channel, to be sent or not; raises FormatError when it is too long."""
        return self.wrap(CommandApdu(cla, ins, p1, p2, data, ne))

    def wrap(self, command: CommandApdu) -> CommandApdu:
        """A command as the next one of the channel; raises FormatError when it is too long."""
        return self._host.wrap(command)

    def send(
        self, ins: Ins, p1: int = 0, p2: int = 0, data: bytes = b"", sw: int = StatusWord.OK, cla: int = 0x80
    ) -> bytes:
        """A command that must end in ``sw``; returns the answer's data in clear. Raises DeviationError."""
        command = self.wrapped(ins, p1, p2, data, cla)
        raw = self.card.send(ins, command.data, sw, p1=p1, p2=p2, ne=command.ne, cla=command.cla)
        return self._host.unwrap(ResponseApdu(raw, sw)).data

    def first(self, wire: bytes, ins: Ins = Ins.STORE_DATA) -> CommandApdu:
        """A first command behind EXTERNAL AUTHENTICATE: these bytes as they are, and the right MAC over them."""
        opening = self.proof(self.cryptogram)
        chain = self.keys.command_mac(bytes(BLOCK), opening, self.cryptogram)
        command = CommandApdu(0x80 | SECURE_MESSAGING, ins, 0x08, 0, ne=_NE)
        return command.with_data(wire + self.keys.command_mac(chain, command, wire)[:8])

    def encrypted(self, padded: bytes) -> bytes:
        """Whole blocks encrypted as the data of a first command, with whatever stands for the padding."""
        return cbc_encrypt(self.keys.enc, aes_block(self.keys.enc, (1).to_bytes(BLOCK)), padded)

    # --- personalization -----------------------------------------------------------------------------------

    def generate(self) -> bytes:
        """GENERATE KEY PAIR, a new pair; returns the public key, X and Y."""
        return self.send(Ins.GENERATE_KEY_PAIR, 0x80)[-64:]

    def public_key(self) -> bytes:
        """GENERATE KEY PAIR, the pair that is there; returns the whole answer."""
        return self.send(Ins.GENERATE_KEY_PAIR, 0x81)

    def store(self, groups: bytes, p1: int = 0x08, sw: int = StatusWord.OK, block: int | None = None) -> None:
        """STORE DATA with the next block number, or another one; a declined block is not counted."""
        self.send(Ins.STORE_DATA, p1, self._block if block is None else block, groups, sw)
        if sw == StatusWord.OK:
            self._block = self._block + 1 & 0xFF

    def last(self, groups: bytes) -> CommandApdu:
        """STORE DATA with the last block, to be sent or not."""
        return self.wrapped(Ins.STORE_DATA, 0x88, self._block, groups)


def lose_try(card: Subject) -> None:
    """INITIALIZE UPDATE, and an EXTERNAL AUTHENTICATE with a wrong cryptogram; raises DeviationError."""
    channel = Channel(card)
    card.raw(channel.proof(flipped(channel.cryptogram, 7)), StatusWord.SECURITY_STATUS)
