"""The host's side of SCP03 (GlobalPlatform Card Specification 2.3, Amendment D): AES, S8 mode.

No I/O: commands and answers go in, commands and answers come out. In order::

    channel = HostChannel(host_challenge, level)
    channel.initialize_update()                    the command; its answer goes into the next two
    InitializeUpdateAnswer.decode(data)            says which card and key version this is
    channel.external_authenticate(answer, keys)    the command; after its 9000 the channel is open
    channel.wrap(command), channel.unwrap(answer)  in turn
"""

from dataclasses import dataclass, replace
from typing import Self

from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.constant_time import bytes_eq
from cryptography.hazmat.primitives.kdf.kbkdf import KBKDFCMAC, CounterLocation, Mode

from apdu.cipher import BLOCK, aes_block, cbc_decrypt, cbc_encrypt, cmac
from apdu.command import SECURE_MESSAGING, CommandApdu
from apdu.commands import SECURITY_LEVELS, Ins
from apdu.errors import FormatError, SecureChannelError
from apdu.response import ResponseApdu
from apdu.status import StatusWord

__all__ = [
    "CHALLENGE_SIZE",
    "KEY_SIZES",
    "HostChannel",
    "InitializeUpdateAnswer",
    "SessionKeys",
    "StaticKeys",
    "derive",
    "has_mac",
    "kdf_in_counter_mode",
]

CHALLENGE_SIZE = 8
"""Challenges, cryptograms and MACs of S8 mode have 8 bytes."""
KEY_SIZES = (16, 24, 32)
"""AES keys in bytes."""

_C_ENC, _R_MAC, _R_ENC = 0x02, 0x10, 0x20
_CARD_CRYPTOGRAM, _HOST_CRYPTOGRAM, _S_ENC, _S_MAC, _S_RMAC = 0x00, 0x01, 0x04, 0x06, 0x07
_I_S16, _I_PSEUDO_RANDOM, _I_R_MAC, _I_R_ENC = 0x01, 0x10, 0x20, 0x40
_LC_MAX = 255
_NE_SHORT, _NE_EXTENDED = 256, 65536


@dataclass(frozen=True, slots=True, repr=False)
class StaticKeys:
    """The three static keys of one card, all of one size; raises FormatError when they are not."""

    enc: bytes
    mac: bytes
    dek: bytes

    def __post_init__(self) -> None:
        """Check the sizes, in bytes."""
        sizes = {len(self.enc), len(self.mac), len(self.dek)}
        if len(sizes) != 1 or not sizes <= set(KEY_SIZES):
            raise FormatError(f"ENC, MAC and DEK are of one size, 16, 24 or 32 bytes, not {sorted(sizes)}")

    def __repr__(self) -> str:
        """Tell the size and hide the keys."""
        return f"StaticKeys(AES-{8 * len(self.enc)}, hidden)"


@dataclass(frozen=True, slots=True)
class InitializeUpdateAnswer:
    """What a card answers to INITIALIZE UPDATE (Amendment D, 7.1.1); ``i`` says what it can do."""

    diversification_data: bytes
    key_version: int
    i: int
    card_challenge: bytes
    card_cryptogram: bytes
    sequence_counter: bytes = b""

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Parse 29 bytes, or 32 with the sequence counter; raises SecureChannelError."""
        if len(data) not in (29, 32):
            raise SecureChannelError(f"INITIALIZE UPDATE gives 29 or 32 bytes, and the card gave {len(data)}")
        if data[11] != 3:
            raise SecureChannelError(f"the card speaks SCP{data[11]:02X}, not SCP03")
        answer = cls(data[:10], data[10], data[12], data[13:21], data[21:29], data[29:])
        if bool(answer.i & _I_PSEUDO_RANDOM) != bool(answer.sequence_counter):
            raise SecureChannelError(f"the card's parameter i is {answer.i:02X} and its answer is of another kind")
        return answer

    def allows(self, level: int) -> bool:
        """Whether the card can work at a security level, with MACs of 8 bytes (Amendment D, table 5-1)."""
        wanted = (level & _R_MAC and _I_R_MAC) | (level & _R_ENC and _I_R_ENC)
        return not self.i & _I_S16 and self.i & wanted == wanted


def kdf_in_counter_mode(key: bytes, before: bytes, after: bytes, size: int) -> bytes:
    """Derive ``size`` bytes: AES-CMAC, one byte of counter between the fixed data (NIST SP 800-108, 4.1)."""
    return KBKDFCMAC(
        AES,
        mode=Mode.CounterMode,
        length=size,
        rlen=1,
        llen=None,
        location=CounterLocation.MiddleFixed,
        break_location=len(before),
        label=None,
        context=None,
        fixed=before + after,
    ).derive(key)


def derive(key: bytes, constant: int, context: bytes, size: int) -> bytes:
    """Derive ``size`` bytes for the use that ``constant`` names (Amendment D, 4.1.5)."""
    label = bytes(11) + bytes((constant, 0)) + (8 * size).to_bytes(2)
    return kdf_in_counter_mode(key, label, context, size)


@dataclass(frozen=True, slots=True, repr=False)
class SessionKeys:
    """Keys of one session; the DEK of SCP03 is the static one."""

    enc: bytes
    mac: bytes
    rmac: bytes
    dek: bytes

    @classmethod
    def of(cls, keys: StaticKeys, context: bytes) -> Self:
        """Derive them from the static keys; the context is host challenge and card challenge."""
        size = len(keys.enc)
        return cls(
            derive(keys.enc, _S_ENC, context, size),
            derive(keys.mac, _S_MAC, context, size),
            derive(keys.mac, _S_RMAC, context, size),
            keys.dek,
        )

    def card_cryptogram(self, context: bytes) -> bytes:
        """What the card proves itself with (Amendment D, 6.2.2.2)."""
        return derive(self.mac, _CARD_CRYPTOGRAM, context, CHALLENGE_SIZE)

    def host_cryptogram(self, context: bytes) -> bytes:
        """What the host proves itself with (Amendment D, 6.2.2.3)."""
        return derive(self.mac, _HOST_CRYPTOGRAM, context, CHALLENGE_SIZE)

    def decrypt(self, counter: int, data: bytes, *, answer: bool) -> bytes | None:
        """Data in clear, without padding; None when they are no whole blocks or the padding is wrong."""
        if len(data) % BLOCK:
            return None
        padded = cbc_decrypt(self.enc, _icv(self, counter, 0x80 if answer else 0), data)
        plain = padded.rstrip(b"\0")
        return plain[:-1] if plain.endswith(b"\x80") and len(padded) - len(plain) < BLOCK else None

    def answer_mac(self, chain: bytes, data: bytes, sw: int) -> bytes:
        """R-MAC, 8 bytes (Amendment D, 6.2.5); ``chain`` is the command's whole C-MAC."""
        return cmac(self.rmac, chain + data + sw.to_bytes(2))[:CHALLENGE_SIZE]

    def command_mac(self, chain: bytes, command: CommandApdu, data: bytes) -> bytes:
        """C-MAC, all 16 bytes (Amendment D, 6.2.4); ``command`` has its class and length as they are sent."""
        size = len(data) + CHALLENGE_SIZE
        lc = b"\0" + size.to_bytes(2) if command.extended else bytes((size,))
        return cmac(self.mac, chain + command.header + lc + data)


class HostChannel:
    """One secure channel, from challenge to close; after anything that does not verify it is closed."""

    def __init__(self, host_challenge: bytes, level: int, key_version: int = 0) -> None:
        """``host_challenge``: 8 fresh random bytes. ``key_version`` 0 lets the card choose.

        Raises FormatError for a challenge of another size or a level other than 01, 03, 11, 13 and 33.
        """
        if len(host_challenge) != CHALLENGE_SIZE:
            raise FormatError(f"a host challenge has {CHALLENGE_SIZE} bytes, not {len(host_challenge)}")
        if level not in SECURITY_LEVELS:
            raise FormatError(f"security level {level:02X} is none of 01, 03, 11, 13 and 33")
        self._host_challenge = host_challenge
        self._level = level
        self._key_version = key_version
        self._session: SessionKeys | None = None
        self._card: InitializeUpdateAnswer | None = None
        self._closed = False
        self._chain = bytes(BLOCK)
        self._counter = 0
        self._waiting = False

    def initialize_update(self) -> CommandApdu:
        """The command that begins the channel (Amendment D, 7.1.1)."""
        return CommandApdu(0x80, Ins.INITIALIZE_UPDATE, self._key_version, 0, self._host_challenge, _NE_SHORT)

    def external_authenticate(self, answer: InitializeUpdateAnswer, keys: StaticKeys) -> CommandApdu:
        """Verify the card's cryptogram and return the command that opens the channel (Amendment D, 7.1.2).

        Raises SecureChannelError, and the command is not there to be sent, when the card does not prove
        that it has the keys: so no try of the card is used up by a wrong key.
        """
        if self._closed or self._session is not None:
            raise self._refuse("a channel is opened once; begin a new one")
        self._check_offer(answer)
        context = self._host_challenge + answer.card_challenge
        session = SessionKeys.of(keys, context)
        if not bytes_eq(session.card_cryptogram(context), answer.card_cryptogram):
            raise self._refuse("the card's cryptogram is wrong: the card has other keys, or is no card of ours")
        self._session, self._card = session, answer
        plain = CommandApdu(0x80, Ins.EXTERNAL_AUTHENTICATE, self._level, 0)
        return self._with_mac(session, plain, session.host_cryptogram(context))

    def _check_offer(self, answer: InitializeUpdateAnswer) -> None:
        """Refuse another key version, a level that the card cannot do, and our own challenge come back."""
        if self._key_version not in (0, answer.key_version):
            raise self._refuse(f"key version {self._key_version} was asked for, not {answer.key_version}")
        if not answer.allows(self._level):
            raise self._refuse(f"the card (i = {answer.i:02X}) has no S8 mode with level {self._level:02X}")
        if answer.card_challenge == self._host_challenge:
            raise self._refuse("the card sent our own challenge back")

    @property
    def card(self) -> InitializeUpdateAnswer:
        """What the card told of itself, once it has proved its keys; raises SecureChannelError before."""
        if self._card is None:
            raise SecureChannelError("the secure channel is not open yet: nothing is known of the card")
        return self._card

    def wrap(self, command: CommandApdu) -> CommandApdu:
        """Encrypt, if the level says so, and add the MAC (Amendment D, 6.2.4 and 6.2.6).

        Raises FormatError when the data do not fit a short command any more; the channel stays as it was.
        """
        session = self._keys()
        data = command.data
        if data and self._level & _C_ENC:
            data = cbc_encrypt(session.enc, _icv(session, self._counter + 1), _pad(data))
        if len(data) + CHALLENGE_SIZE > _LC_MAX:
            raise FormatError(f"{len(command.data)} bytes of data are too long for a wrapped command: split them")
        self._counter += 1
        self._waiting = True
        return self._with_mac(session, replace(command, ne=self._wider(command.ne)), data)

    def _wider(self, ne: int | None) -> int | None:
        """Make room for padding and R-MAC, so that no card has reason to answer 6Cxx and be asked again."""
        if ne is None or not self._level & _R_MAC:
            return ne
        return _NE_SHORT if ne <= _NE_SHORT else min(ne + BLOCK + CHALLENGE_SIZE, _NE_EXTENDED)

    def _with_mac(self, session: SessionKeys, command: CommandApdu, data: bytes) -> CommandApdu:
        """Move the chain on over the header with its new Lc; all 16 bytes are kept and 8 are sent."""
        command = command.with_data(data, command.cla | SECURE_MESSAGING)
        self._chain = session.command_mac(self._chain, command, data)
        return command.with_data(data + self._chain[:CHALLENGE_SIZE])

    def unwrap(self, response: ResponseApdu) -> ResponseApdu:
        """Verify and decrypt the answer to the last wrapped command (Amendment D, 6.2.5 and 6.2.7).

        Status words are left to the caller. Raises SecureChannelError and closes the channel when the MAC is
        missing or wrong, the padding is wrong, or data come with an error word, which has no MAC.
        """
        session = self._keys()
        if not self._waiting:
            raise self._refuse("an answer came that no command waits for")
        self._waiting = False
        if not self._level & _R_MAC:
            return response
        if not has_mac(response.sw):
            if response.data:
                raise self._refuse(f"unprotected data came with status word {response.sw:04X}")
            return response
        return ResponseApdu(self._decrypted(session, self._verified(session, response)), response.sw)

    def _verified(self, session: SessionKeys, response: ResponseApdu) -> bytes:
        """Answer data without its R-MAC, which is over the command's chain, the data and the status word."""
        data, mac = response.data[:-CHALLENGE_SIZE], response.data[-CHALLENGE_SIZE:]
        if not bytes_eq(mac, session.answer_mac(self._chain, data, response.sw)):
            raise self._refuse("the MAC of an answer is missing or wrong")
        return data

    def _decrypted(self, session: SessionKeys, data: bytes) -> bytes:
        """Answer data without padding; an answer without data was not encrypted."""
        if not data or not self._level & _R_ENC:
            return data
        plain = session.decrypt(self._counter, data, answer=True)
        if plain is None:
            raise self._refuse("an encrypted answer is not made of whole blocks, or its padding is wrong")
        return plain

    def dek_encrypt(self, plain: bytes) -> bytes:
        """Encrypt a sensitive value with the static DEK: AES-CBC, zero IV (Amendment D, 6.2.8).

        Raises FormatError when the value is not made of whole blocks of 16 bytes.
        """
        if not plain or len(plain) % BLOCK:
            raise FormatError(f"a value under the DEK is made of whole blocks of 16 bytes, not of {len(plain)}")
        return cbc_encrypt(self._keys().dek, bytes(BLOCK), plain)

    def close(self) -> None:
        """Forget the session keys; the channel cannot be used any more."""
        self._session = None
        self._closed = True

    def _keys(self) -> SessionKeys:
        if self._session is None:
            state = "closed" if self._closed else "not open yet"
            raise SecureChannelError(f"the secure channel is {state}: open a new one")
        return self._session

    def _refuse(self, reason: str) -> SecureChannelError:
        self.close()
        return SecureChannelError(f"{reason}; the secure channel is closed")


def has_mac(sw: int) -> bool:
    """9000 and warnings carry an R-MAC, error words never do."""
    return sw == StatusWord.OK or sw >> 8 in (0x62, 0x63)


def _icv(session: SessionKeys, counter: int, top: int = 0) -> bytes:
    """The encrypted counter; its top byte tells answers (80) from commands (00)."""
    return aes_block(session.enc, bytes((top,)) + counter.to_bytes(BLOCK - 1))


def _pad(data: bytes) -> bytes:
    """80 and zeros up to whole blocks: padding method 2 of ISO 9797-1."""
    padded = data + b"\x80"
    return padded + bytes(-len(padded) % BLOCK)
