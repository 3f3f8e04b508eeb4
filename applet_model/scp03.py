"""The card's side of SCP03: GlobalPlatform Card Specification 2.3, Amendment D (S8 mode).

Shares nothing with the host's side but the AES primitives, so that each checks the other.
"""

from dataclasses import dataclass
from hmac import compare_digest

from apdu.cipher import BLOCK, aes_block, cbc_decrypt, cbc_encrypt, cmac
from apdu.command import SECURE_MESSAGING, CommandApdu
from apdu.response import ResponseApdu

__all__ = ["CardChannel", "SecureMessagingError", "SessionKeys", "card_challenge"]

_CARD_CRYPTOGRAM, _HOST_CRYPTOGRAM, _CHALLENGE = 0x00, 0x01, 0x02
_S_ENC, _S_MAC, _S_RMAC = 0x04, 0x06, 0x07
_MAC_SIZE = 8
_C_ENC, _R_MAC, _R_ENC = 0x02, 0x10, 0x20


class SecureMessagingError(Exception):
    """A MAC or padding is wrong: the channel ends."""


def _derive(key: bytes, constant: int, context: bytes, bits: int) -> bytes:
    """Key derivation of Amendment D 4.1.5: counter mode of SP 800-108 with AES-CMAC."""
    label = bytes(11) + bytes((constant, 0)) + bits.to_bytes(2)
    blocks = (cmac(key, label + bytes((i,)) + context) for i in range(1, (bits + 127) // 128 + 1))
    return b"".join(blocks)[: bits // 8]


def card_challenge(static_enc: bytes, sequence: int, aid: bytes) -> bytes:
    """The pseudo-random card challenge, 8 bytes, of Amendment D 6.2.2.1."""
    return _derive(static_enc, _CHALLENGE, sequence.to_bytes(3) + aid, 64)


@dataclass(frozen=True, slots=True, repr=False)
class SessionKeys:
    """Keys and cryptograms of one session (Amendment D 6.2.1 and 6.2.2)."""

    enc: bytes
    mac: bytes
    rmac: bytes
    card_cryptogram: bytes
    host_cryptogram: bytes

    @classmethod
    def derive(cls, static_enc: bytes, static_mac: bytes, context: bytes) -> "SessionKeys":
        """``context`` is host challenge and card challenge, 16 bytes."""
        bits = 8 * len(static_enc)
        mac = _derive(static_mac, _S_MAC, context, bits)
        return cls(
            _derive(static_enc, _S_ENC, context, bits),
            mac,
            _derive(static_mac, _S_RMAC, context, bits),
            _derive(mac, _CARD_CRYPTOGRAM, context, 64),
            _derive(mac, _HOST_CRYPTOGRAM, context, 64),
        )


class CardChannel:
    """One secure channel, from the card's view; ``level`` is 0 until the host is authenticated."""

    def __init__(self, keys: SessionKeys) -> None:
        """Begin with the keys of INITIALIZE UPDATE."""
        self._keys = keys
        self.level = 0
        self._chain = bytes(BLOCK)
        self._counter = 0

    @property
    def card_cryptogram(self) -> bytes:
        """What INITIALIZE UPDATE answers."""
        return self._keys.card_cryptogram

    def authenticate(self, command: CommandApdu) -> bool:
        """EXTERNAL AUTHENTICATE: whether MAC and host cryptogram are right; opens the channel at level P1."""
        try:
            cryptogram = self._check_mac(command)
        except SecureMessagingError:
            return False
        if not compare_digest(cryptogram, self._keys.host_cryptogram):
            return False
        self.level = command.p1
        return True

    def unwrap(self, command: CommandApdu) -> CommandApdu:
        """Check and remove MAC and encryption; raises SecureMessagingError."""
        data = self._check_mac(command)
        self._counter += 1
        if self.level & _C_ENC and data:
            data = self._decrypt(data)
        return command.with_data(data, command.cla & ~SECURE_MESSAGING)

    def wrap(self, response: ResponseApdu) -> ResponseApdu:
        """Protect an answer as the level asks; error words carry nothing (Amendment D 6.2.5)."""
        if response.sw >> 8 not in (0x90, 0x62, 0x63):
            return ResponseApdu(sw=response.sw)
        data = response.data
        if self.level & _R_ENC and data:
            padded = data + b"\x80" + bytes(-(len(data) + 1) % BLOCK)
            data = cbc_encrypt(self._keys.enc, self._icv(0x80), padded)
        if self.level & _R_MAC:
            data += cmac(self._keys.rmac, self._chain + data + response.sw.to_bytes(2))[:_MAC_SIZE]
        return ResponseApdu(data, response.sw)

    def _check_mac(self, command: CommandApdu) -> bytes:
        """Compare the C-MAC and move the chain on (Amendment D 6.2.4)."""
        data, received = command.data[:-_MAC_SIZE], command.data[-_MAC_SIZE:]
        lc = len(command.data)
        length = bytes((lc,)) if not command.extended else b"\0" + lc.to_bytes(2)
        mac = cmac(self._keys.mac, self._chain + command.header + length + data)
        if not compare_digest(mac[:_MAC_SIZE], received):
            raise SecureMessagingError("C-MAC")
        self._chain = mac
        return data

    def _icv(self, top: int) -> bytes:
        """Initial chaining value: the command counter, encrypted (Amendment D 6.2.6, 6.2.7)."""
        return aes_block(self._keys.enc, bytes((top,)) + self._counter.to_bytes(BLOCK - 1))

    def _decrypt(self, data: bytes) -> bytes:
        if len(data) % BLOCK:
            raise SecureMessagingError("length")
        padded = cbc_decrypt(self._keys.enc, self._icv(0x00), data)
        marked = padded.rstrip(b"\0")
        if marked[-1:] != b"\x80" or len(padded) - len(marked) >= BLOCK:
            raise SecureMessagingError("padding")
        return marked[:-1]
