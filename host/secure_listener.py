"""A secure channel, opened from outside: who has the static keys reads in a trace what went through it.

Nothing is sent. MACs and cryptograms are verified all the same, and what does not fit is told.
"""

from dataclasses import dataclass, field, replace

from cryptography.hazmat.primitives.constant_time import bytes_eq

from apdu.cipher import BLOCK
from apdu.command import SECURE_MESSAGING, CommandApdu
from apdu.commands import Ins
from apdu.errors import FormatError, SaifuError
from apdu.response import ResponseApdu
from apdu.status import StatusWord
from apdu.trace.model import Exchange
from apdu.trace.reading import Opened
from host.scp03 import CHALLENGE_SIZE, InitializeUpdateAnswer, SessionKeys, has_mac
from host.secure_connection import KeysFor

__all__ = ["MOST_SLOTS", "SecureListener"]

MOST_SLOTS = 256
"""Slots whose channel is followed; the one that was heard first is forgotten first."""

_C_ENC, _R_MAC, _R_ENC = 0x02, 0x10, 0x20
_ENDS = (StatusWord.SECURE_MESSAGING_DATA, StatusWord.SECURE_MESSAGING_NOT_SUPPORTED)
_BEFORE_THE_MAC = (
    StatusWord.CHANNEL_NOT_SUPPORTED,
    StatusWord.CHAINING_NOT_SUPPORTED,
    StatusWord.INS_NOT_SUPPORTED,
    StatusWord.CLA_NOT_SUPPORTED,
)
"""Words with which a command is declined before anybody looks at its MAC: the channel is as it was."""
_SELECTED = (0x90, 0x62)


@dataclass(slots=True)
class _Channel:
    """One channel, as far as it has come; ``level`` is 0 until it is open."""

    keys: SessionKeys = field(repr=False)
    context: bytes
    level: int = 0
    chain: bytes | None = bytes(BLOCK)
    """None behind a command of which a part was blanked: from there on no MAC can be verified."""
    counter: int = 0

    def check_mac(self, command: CommandApdu) -> bytes | None:
        """Data without the C-MAC, and the chain moved on; None when the MAC is wrong."""
        data, mac = command.data[:-CHALLENGE_SIZE], command.data[-CHALLENGE_SIZE:]
        if self.chain is None:
            return data
        chain = self.keys.command_mac(self.chain, command, data)
        if not bytes_eq(chain[:CHALLENGE_SIZE], mac):
            return None
        self.chain = chain
        return data


class SecureListener:
    """SCP03 of Amendment D, S8 mode, in every slot; is a Listener of traces."""

    def __init__(self, keys_for: KeysFor) -> None:
        """``keys_for`` finds the static keys by what INITIALIZE UPDATE answered; it raises SaifuError if it cannot."""
        self._keys_for = keys_for
        self._channels: dict[str, _Channel] = {}

    def reset(self, slot: str) -> None:
        """The card was reset: its channel is gone."""
        self._channels.pop(slot, None)

    def hear(self, exchange: Exchange) -> Opened | None:
        """What the channel carried; None where there is no channel, the bytes are no APDUs, or 6988 is rightly said."""
        try:
            command, answer = CommandApdu.decode(exchange.command), ResponseApdu.decode(exchange.response or b"")
        except FormatError:
            return None
        if not command.cla & SECURE_MESSAGING:
            return self._follow(exchange, command, answer)
        if command.ins == Ins.EXTERNAL_AUTHENTICATE:
            return self._authenticate(exchange, command, answer)
        opened = self._secured(exchange, command, answer)
        if command.ins == Ins.PUT_KEY and answer.sw == StatusWord.OK:
            self.reset(exchange.slot)  # the card has other keys now
        if opened is not None and (plain := opened.plain) is not None:
            inside = CommandApdu.decode(plain.command), ResponseApdu.decode(plain.response or b"")
            told = self._follow(plain, *inside)
            return opened if told is None else opened._replace(faults=opened.faults + told.faults)
        return opened

    def _follow(self, exchange: Exchange, command: CommandApdu, answer: ResponseApdu) -> Opened | None:
        """What a command in clear does to the channel: it may begin another one, or end it."""
        if command.ins == Ins.INITIALIZE_UPDATE:
            return self._begin(exchange, command, answer)
        if command.ins == Ins.SELECT and answer.sw >> 8 in _SELECTED:
            self.reset(exchange.slot)
        return None

    def _begin(self, exchange: Exchange, command: CommandApdu, answer: ResponseApdu) -> Opened | None:
        """INITIALIZE UPDATE: the session keys, and the card's proof that it has them."""
        if answer.sw != StatusWord.OK:
            return None
        self.reset(exchange.slot)
        try:
            offered = InitializeUpdateAnswer.decode(answer.data)
            context = command.data + offered.card_challenge
            keys = SessionKeys.of(self._keys_for(offered), context)
        except SaifuError as error:
            return Opened(None, (str(error),))
        if not bytes_eq(keys.card_cryptogram(context), offered.card_cryptogram):
            return Opened(None, ("the card's cryptogram is not made with these keys",))
        if len(self._channels) >= MOST_SLOTS:
            del self._channels[next(iter(self._channels))]
        self._channels[exchange.slot] = _Channel(keys, context)
        return None

    def _authenticate(self, exchange: Exchange, command: CommandApdu, answer: ResponseApdu) -> Opened | None:
        """EXTERNAL AUTHENTICATE: the host's proof, and what the card says to it."""
        channel = self._channels.get(exchange.slot)
        if channel is None or channel.level or answer.sw not in (StatusWord.OK, StatusWord.SECURITY_STATUS):
            return None
        cryptogram, accepted = channel.check_mac(command), answer.sw == StatusWord.OK
        good = cryptogram is not None and bytes_eq(cryptogram, channel.keys.host_cryptogram(channel.context))
        if accepted:
            channel.level = command.p1
        else:
            self.reset(exchange.slot)
        if good == accepted:
            return None
        return Opened(None, (_judged("the host's proof", good),))

    def _secured(self, exchange: Exchange, command: CommandApdu, answer: ResponseApdu) -> Opened | None:
        """A command with a MAC, and its answer."""
        channel = self._channels.get(exchange.slot)
        if channel is None or not channel.level or (answer.sw in _BEFORE_THE_MAC and not answer.data):
            return None
        if answer.sw in _ENDS and not answer.data:
            self.reset(exchange.slot)
        if any(part == "command" for part, _, _ in exchange.redacted):
            channel.chain = None
            channel.counter += 1
            return None
        data = channel.check_mac(command)
        if data is not None:
            channel.counter += 1
            data = channel.keys.decrypt(channel.counter, data, answer=False) if _is_encrypted(channel, data) else data
        refused = answer.sw == StatusWord.SECURE_MESSAGING_DATA
        if data is None:
            return None if refused else Opened(None, (_judged("the secured command", False),))
        plain = command.with_data(data, command.cla & ~SECURE_MESSAGING)
        said, faults = _opened_answer(channel, answer)
        if refused:
            faults = (_judged("the secured command", True),)
        if said is None:
            return Opened(None, faults)
        return Opened(replace(exchange, command=plain.encode(), response=said.encode(), redacted=()), faults)


def _is_encrypted(channel: _Channel, data: bytes) -> bool:
    return bool(channel.level & _C_ENC and data)


def _judged(what: str, good: bool) -> str:
    return f"{what} is right, and the card refuses it" if good else f"{what} is wrong, and the card takes it"


def _opened_answer(channel: _Channel, answer: ResponseApdu) -> tuple[ResponseApdu | None, tuple[str, ...]]:
    """The answer in clear (Amendment D, 6.2.5 and 6.2.7), None if it cannot be opened; and what is wrong with it."""
    if not channel.level & _R_MAC:
        return answer, ()
    if not has_mac(answer.sw):
        return answer, ("unprotected data came with an error word",) if answer.data else ()
    data, mac = answer.data[:-CHALLENGE_SIZE], answer.data[-CHALLENGE_SIZE:]
    if channel.chain is not None and not bytes_eq(mac, channel.keys.answer_mac(channel.chain, data, answer.sw)):
        return None, ("the answer's MAC is missing or wrong",)
    if data and channel.level & _R_ENC:
        plain = channel.keys.decrypt(channel.counter, data, answer=True)
        if plain is None:
            return None, ("the answer's padding is wrong",)
        data = plain
    return ResponseApdu(data, answer.sw), ()
