"""PINs and keys are taken out of a trace before anybody keeps it; zeros are in their place, of the same length.

Blanked are, of our card by its command table and of other cards by the standards:

- the data of VERIFY, CHANGE REFERENCE DATA, RESET RETRY COUNTER, and of the commands that switch the wanting of a
  PIN on and off (ISO 7816-4), in every class;
- the data of PUT KEY (GlobalPlatform 2.3, 11.8), in secure channels too; of LOAD KEYS of a reader (PC/SC part 3), key
  and code objects of PUT DATA and key imports (OpenPGP and PIV cards), the plain text of ENCIPHER and DECIPHER
  (ISO 7816-8);
- in STORE DATA outside of an encrypted channel: every data group that is not known to be open, also where P1 says that
  values are encrypted;
- in answers of other cards than our purse: most of an account number and of the tracks of a bank card (EMV Book 3).

What is encrypted stays otherwise, since a secure channel is opened from it when the keys are given; so do challenges,
cryptograms and MACs. A secret in a command that none of these standards knows is not recognized, nor one inside another
command (ENVELOPE, the wrappers of some readers).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from apdu.command import CHAINING, SECURE_MESSAGING, CommandApdu
from apdu.commands import SECRET_INS, Ins
from apdu.dgi import Dgi
from apdu.errors import FormatError
from apdu.identity import AID
from apdu.trace.account_numbers import account_spans, is_cut_record
from apdu.trace.model import Exchange, Item, Reset

__all__ = ["MOST_CHANNELS", "Redactor", "redact"]

MOST_CHANNELS = 1024
"""Logical channels, of all slots together, whose state is kept; the oldest is forgotten first."""

_Span = tuple[int, int]
_Blank = tuple[str, int, int]

_PINS = frozenset((0x20, 0x21, *range(0x24, 0x2A), 0x2C, 0x2D)) | SECRET_INS
"""ISO 7816-4 11.6.6 to 11.6.10; the odd ones take BER-TLV."""
_PUT_KEY = 0xD8
_ALL_SECRET = frozenset((_PUT_KEY, 0xFE, 0xFF))
"""PUT KEY; and of PIV tokens IMPORT ASYMMETRIC KEY and SET MANAGEMENT KEY, which no standard has."""
_PUT_DATA, _PUT_DATA_ODD, _SECURITY_OPERATION = 0xDA, 0xDB, 0x2A
_READER, _LOAD_KEYS = 0xFF, 0x82
_KEY_OBJECTS = frozenset((0x00D1, 0x00D2, 0x00D3, 0x00D5, 0x00F4))
"""OpenPGP card 3.4, 4.4.1: keys of secure messaging, resetting code, AES key."""
_PRIVATE_KEY, _PRIVATE_KEY_PLACE = b"\x4d", 0x3FFF
"""The extended header list in which PUT DATA brings a private key."""
_ENCIPHER, _DECIPHER = 0x8680, 0x8086

_BY_NAME = 0x04
"""P1 of SELECT with the name of an application (ISO 7816-4 11.2.2)."""
_GOES_ON = (b"\x61", b"\x6c")
"""First bytes of status words after which the same answer comes, or more of it."""
_SELECTED = (b"\x90", b"\x61", b"\x62")
"""First bytes of status words with which a card says that something is selected."""
_C_ENC, _MAC_SIZE, _BLOCK = 0x02, 8, 16
_STRUCTURE, _DGIS, _LAST_BLOCK = 0x18, 0x08, 0x80
"""P1 of STORE DATA (GlobalPlatform 2.3, 11.11.2.1)."""
_SHORTEST = 4
"""Bytes of data of the shortest answer in which there may be an account number."""
_OPEN_GROUPS = frozenset(int(dgi) for dgi in Dgi) - {int(Dgi.REFERENCE_DATA)}


def redact(exchange: Exchange) -> Exchange:
    """Blank the secrets of one exchange, of which nothing is known but itself; see Redactor for a whole trace."""
    return Redactor()._exchange(exchange)


class Redactor:
    """Blanks secrets over a whole trace: knows chains and secure channels, for each slot and logical channel."""

    def __init__(self) -> None:
        """Nothing has been said yet."""
        self._channels: dict[tuple[str, int], _Channel] = {}

    def redact(self, item: Item) -> Item:
        """The same item without its secrets; items come in their order."""
        if isinstance(item, Reset):
            self._forget(item.slot)
        return self._exchange(item) if isinstance(item, Exchange) else item

    def sent(self, exchange: Exchange) -> Exchange:
        """A command that is about to be sent, without its secrets and without an answer."""
        spans = self._channel(exchange).command(exchange.command)
        command, blanks = _blank("command", exchange.command, spans)
        return replace(exchange, command=command, response=None, redacted=_merged(exchange.redacted, blanks))

    def answered(self, sent: Exchange, response: bytes | None, seconds: float | None = None) -> Exchange:
        """What ``sent`` has returned, completed by its answer without its secrets."""
        if response is None:
            return replace(sent, seconds=seconds)
        answer, blanks = _blank("response", response, self._channel(sent).response(response))
        return replace(sent, response=answer, seconds=seconds, redacted=_merged(sent.redacted, blanks))

    def _exchange(self, exchange: Exchange) -> Exchange:
        return self.answered(self.sent(exchange), exchange.response, exchange.seconds)

    def _channel(self, exchange: Exchange) -> "_Channel":
        """The state of the logical channel that the class byte names (ISO 7816-4 5.4.1)."""
        cla = exchange.command[0] if exchange.command else 0
        key = exchange.slot, 4 + (cla & 0x0F) if cla & 0x40 else cla & 0x03
        found = self._channels.get(key)
        if found is None:
            if len(self._channels) >= MOST_CHANNELS:
                del self._channels[next(iter(self._channels))]
            found = self._channels[key] = _Channel()
        return found

    def _forget(self, slot: str) -> None:
        for key in [key for key in self._channels if key[0] == slot]:
            del self._channels[key]


def _blank(part: str, raw: bytes, spans: list[_Span]) -> tuple[bytes, tuple[_Blank, ...]]:
    """Put zeros into the spans, and say where."""
    kept = [(start, end) for start, end in spans if start < end]
    if not kept:
        return raw, ()
    blanked = bytearray(raw)
    for start, end in kept:
        blanked[start:end] = bytes(end - start)
    return bytes(blanked), tuple([(part, start, end) for start, end in kept])


def _merged(before: tuple[_Blank, ...], more: tuple[_Blank, ...]) -> tuple[_Blank, ...]:
    """Both, sorted, with those in one that touch."""
    if not more:
        return before
    merged: list[_Blank] = []
    for part, start, end in sorted(before + more):
        if merged and merged[-1][0] == part and start <= merged[-1][2]:
            merged[-1] = part, merged[-1][1], max(end, merged[-1][2])
        else:
            merged.append((part, start, end))
    return tuple(merged)


@dataclass(slots=True)
class _Channel:
    """What has happened on one logical channel, as far as it says what is secret now."""

    level: int = 0
    """Security level of the secure channel; 0: there is none, or it is not known."""
    offered: int = 0
    """Level that the last command asked for."""
    chain: int | None = None
    """Instruction of a chain that goes on."""
    secret_chain: bool = False
    torn: bool = False
    """A data group that began in an earlier STORE DATA is not at its end, as far as is known."""
    secret_answer: bool = False
    record_goes_on: bool = False
    """The answer before was a part of a record of another card, with more to come."""
    ours: bool = False
    """Our purse is selected, as far as is known: no bank card speaks here."""
    selects: bool = False
    """The last command was a SELECT."""
    selects_ours: bool = False

    def command(self, raw: bytes) -> list[_Span]:
        """Secret bytes of a command; remembers what follows from it."""
        if self.selects:
            self.selects = self.selects_ours = False
        try:
            parsed = CommandApdu.decode(raw)
        except FormatError:
            return self._unreadable(raw)
        goes_on = self.chain == parsed.ins
        self.chain = parsed.ins if parsed.cla & CHAINING and parsed.cla != _READER else None
        self.secret_chain = _is_secret(parsed) or (goes_on and self.secret_chain)
        self._follow(parsed)
        # behind Lc, which may be extended for few data too
        start = 5 if len(raw) > 4 and raw[4] else 7
        if self.secret_chain:
            stays = parsed.ins != _PUT_KEY and self._is_encrypted(parsed)
            return [] if stays else [(start, start + len(parsed.data))]
        if parsed.ins == Ins.STORE_DATA and parsed.cla & 0x80:
            return [(start + first, start + end) for first, end in self._store_data(parsed, goes_on)]
        return []

    def _is_encrypted(self, parsed: CommandApdu) -> bool:
        """Whether an open channel encrypts the data, which are whole blocks and a MAC then (Amendment D, 6.2.6)."""
        in_channel = parsed.cla & SECURE_MESSAGING and self.level & _C_ENC
        return bool(in_channel) and len(parsed.data) > _MAC_SIZE and (len(parsed.data) - _MAC_SIZE) % _BLOCK == 0

    def _unreadable(self, raw: bytes) -> list[_Span]:
        """What does not parse may have its secret anywhere behind the header."""
        if len(raw) < 4:
            return []
        self.selects = raw[1] == Ins.SELECT
        named = CommandApdu(raw[0], raw[1], raw[2], raw[3], _PRIVATE_KEY)
        self._expect(named)
        suspect = _is_secret(named) or named.ins == Ins.STORE_DATA or (self.secret_chain and self.chain == named.ins)
        return [(4, len(raw))] if suspect else []

    def _expect(self, command: CommandApdu) -> None:
        """What the answer will be; GET RESPONSE gets that of the command before."""
        if command.ins != Ins.GET_RESPONSE:
            self.secret_answer = command.ins == _SECURITY_OPERATION and _place(command) == _DECIPHER
            self.record_goes_on = False

    def _follow(self, parsed: CommandApdu) -> None:
        """Where secure channels begin and end, and what the answer will be."""
        self.offered = 0
        self._expect(parsed)
        if parsed.ins in (Ins.SELECT, Ins.INITIALIZE_UPDATE):
            self.level, self.torn = 0, False
            if parsed.ins == Ins.SELECT:
                self.selects, self.selects_ours = True, parsed.p1 == _BY_NAME and parsed.data == AID
        if parsed.ins == Ins.EXTERNAL_AUTHENTICATE and parsed.cla & 0x80 and parsed.cla & SECURE_MESSAGING:
            self.level, self.offered = 0, parsed.p1

    def _store_data(self, parsed: CommandApdu, goes_on: bool) -> Iterator[_Span]:
        """Secret spans in the data of STORE DATA (GlobalPlatform 2.3, 11.11)."""
        wrapped = bool(parsed.cla & SECURE_MESSAGING)
        if wrapped and self.level & _C_ENC:
            return
        with_mac = wrapped and self.level and len(parsed.data) >= _MAC_SIZE
        if not parsed.p2 and not goes_on:
            self.torn = False
        yield from self._groups(parsed.data[:-_MAC_SIZE] if with_mac else parsed.data, parsed.p1)
        if parsed.p1 & _LAST_BLOCK and self.chain is None:
            self.torn = False

    def _groups(self, data: bytes, p1: int) -> Iterator[_Span]:
        """Values of groups that are not open; where groups are torn or of another structure, all."""
        if self.torn or p1 & _STRUCTURE != _DGIS:
            yield 0, len(data)
            return
        at = 0
        while at < len(data):
            number, start, end = _group(data, at)
            if end > len(data):
                self.torn = True
                yield at, len(data)
            elif number not in _OPEN_GROUPS:
                # whatever P1 says: nobody opens a value under the DEK from a trace, and what says so may be in clear
                yield start, end
            at = end

    def response(self, raw: bytes) -> list[_Span]:
        """Secret bytes of an answer, which also says whether a secure channel is open now."""
        if raw[-2:] == b"\x90\x00" and self.offered:
            self.level = self.offered
        if self.selects and raw[-2:-1] in _SELECTED:
            self.ours = self.selects_ours
        secret, self.secret_answer = self.secret_answer, self.secret_answer and raw[-2:-1] in _GOES_ON
        if secret:
            return [(0, len(raw) - 2)]
        return [] if self.ours else self._account_numbers(raw[:-2], raw[-2:-1] in _GOES_ON)

    def _account_numbers(self, data: bytes, goes_on: bool) -> list[_Span]:
        """Of a record that comes in pieces nobody knows what the later ones begin with: all of them are blanked."""
        later = self.record_goes_on
        self.record_goes_on = goes_on and (later or is_cut_record(data))
        if later:
            return [(0, len(data))]
        return account_spans(data) if len(data) >= _SHORTEST else []


def _place(command: CommandApdu) -> int:
    return command.p1 << 8 | command.p2


def _is_secret(command: CommandApdu) -> bool:
    """Whether all the data of a command are secret."""
    ins, place = command.ins, _place(command)
    if ins == _PUT_DATA:
        return place in _KEY_OBJECTS
    if ins == _PUT_DATA_ODD:
        return place == _PRIVATE_KEY_PLACE and command.data[:1] == _PRIVATE_KEY
    if ins == _SECURITY_OPERATION:
        return place == _ENCIPHER
    if ins == _LOAD_KEYS:
        return command.cla == _READER
    return ins in _PINS or ins in _ALL_SECRET


def _group(data: bytes, at: int) -> tuple[int, int, int]:
    """Number, first byte of the value and end of the group at ``at``; the end is past the data if it is torn."""
    long_form = data[at + 2 : at + 3] == b"\xff"
    start = at + (5 if long_form else 3)
    if start > len(data):
        return 0, start, start
    size = int.from_bytes(data[at + 3 : start]) if long_form else data[at + 2]
    return int.from_bytes(data[at : at + 2]), start, start + size
