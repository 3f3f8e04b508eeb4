"""Transmission: parsing, secure messaging, command chaining, and answers fetched in pieces.

An answer that was not delivered whole is held: GET RESPONSE fetches it, and after 6Cxx so does the same
command with the right Le, without being executed again; any other command drops it.
"""

from dataclasses import dataclass, replace

from apdu.command import CHAINING, SECURE_MESSAGING, CommandApdu
from apdu.commands import Command, Ins
from apdu.errors import FormatError
from apdu.response import ResponseApdu
from apdu.status import StatusWord
from applet_model.card_state import CardState
from applet_model.decline import Decline, unless
from applet_model.dispatch import check_header, execute, find_row
from applet_model.scp03 import CardChannel, SecureMessagingError

__all__ = ["Transmission"]

_SHORT = 256
_PLAIN_IN_CHANNEL = (Ins.SELECT, Ins.INITIALIZE_UPDATE, Ins.EXTERNAL_AUTHENTICATE, Ins.GET_RESPONSE)


@dataclass(frozen=True, slots=True)
class _Held:
    """An answer that waits; after 6Cxx also the command (without its Le) that fetches it."""

    response: ResponseApdu
    repeat: CommandApdu | None = None

    def answers(self, command: CommandApdu) -> bool:
        """Whether a command is the one that 6Cxx asked to have again."""
        return self.repeat is not None and replace(command, ne=None) == self.repeat


class Transmission:
    """The layer between bytes and handlers, from one power-on to the next."""

    def __init__(self, card: CardState, *, exact_le: bool) -> None:
        """``exact_le``: Le must be the exact length of the answer, as T=0 has it."""
        self._card = card
        self._exact_le = exact_le
        self._held: _Held | None = None
        self._chain: CommandApdu | None = None

    @property
    def is_selected(self) -> bool:
        """Whether the purse is selected."""
        return self._card.selected

    def exchange(self, raw: bytes) -> ResponseApdu:
        """Answer one command; everything that the card has to say is in the status word."""
        held, self._held = self._held, None
        chain, self._chain = self._chain, None
        try:
            command = CommandApdu.decode(raw)
        except FormatError:
            return ResponseApdu(sw=StatusWord.WRONG_LENGTH)
        if self._exact_le:
            command = _over_t0(command)
        try:
            return self._answer(command, held, chain)
        except Decline as declined:
            return ResponseApdu(sw=declined.sw)

    def _answer(self, command: CommandApdu, held: _Held | None, chain: CommandApdu | None) -> ResponseApdu:
        row = find_row(command)
        if row.ins is Ins.GET_RESPONSE:
            return self._continue(command, held)
        if held is not None and held.answers(command):
            return self._deliver(command, held.response)
        if command.cla & SECURE_MESSAGING and row.ins is not Ins.EXTERNAL_AUTHENTICATE:
            return self._deliver(command, self._protected(row, command))
        if self._card.session.channel is not None:
            self._check_plain(self._card.session.channel, row)
        if command.cla & CHAINING or (chain is not None and row.ins is not Ins.SELECT):
            return self._deliver(command, self._collect(row, command, chain))
        check_header(self._card, row, command)
        return self._deliver(command, execute(self._card, row, command, protected=False))

    def _check_plain(self, channel: CardChannel, row: Command) -> None:
        """While a channel is open, nothing but its own beginning and end comes without a MAC."""
        unless(not channel.level or row.ins in _PLAIN_IN_CHANNEL, StatusWord.SECURITY_STATUS)

    def _collect(self, row: Command, command: CommandApdu, chain: CommandApdu | None) -> ResponseApdu:
        """Join a chain (ISO 7816-4 5.4.1), and execute it when it is complete."""
        more = bool(command.cla & CHAINING)
        unless(row.chaining or not more, StatusWord.CHAINING_NOT_SUPPORTED)
        if chain is not None:
            same = (chain.header[1:], chain.cla) == (command.header[1:], command.cla | CHAINING)
            unless(same, StatusWord.LAST_OF_CHAIN_EXPECTED)
        check_header(self._card, row, command)
        joined = command.with_data((chain.data if chain else b"") + command.data)
        unless(len(joined.data) <= self._card.cells.chain_capacity, StatusWord.WRONG_LENGTH)
        if more:
            self._chain = joined
            return ResponseApdu()
        return execute(self._card, row, joined, protected=False)

    def _protected(self, row: Command, command: CommandApdu) -> ResponseApdu:
        """Unwrap, execute, wrap; a message that does not verify ends the channel."""
        channel = self._card.session.channel
        if channel is None or not channel.level:
            raise Decline(StatusWord.SECURE_MESSAGING_NOT_SUPPORTED)
        unless(not command.cla & CHAINING, StatusWord.CHAINING_NOT_SUPPORTED)
        try:
            plain = channel.unwrap(command)
        except SecureMessagingError:
            self._card.session.channel = None
            raise Decline(StatusWord.SECURE_MESSAGING_DATA) from None
        try:
            check_header(self._card, row, plain)
            response = execute(self._card, row, plain, protected=True)
        except Decline as declined:
            response = ResponseApdu(sw=declined.sw)
        return channel.wrap(response)

    def _deliver(self, command: CommandApdu, response: ResponseApdu) -> ResponseApdu:
        """Give as much as Le allows (ISO 7816-4 5.3.4); hold the rest."""
        size, ne, protected = len(response.data), command.ne, bool(command.cla & SECURE_MESSAGING)
        if protected and not self._exact_le:
            ne = _SHORT  # a MAC comes back even where no data was asked for
        if not size or size == ne or (ne is not None and size < ne and not self._exact_le):
            return response
        if ne is None or protected or size > _SHORT:
            return self._pieces(response, min(ne or 0, size))
        self._held = _Held(response, replace(command, ne=None))
        return ResponseApdu(sw=0x6C00 | size & 0xFF)

    def _pieces(self, response: ResponseApdu, take: int) -> ResponseApdu:
        """Give the first ``take`` bytes now and announce the rest with 61xx."""
        rest = response.data[take:]
        if not rest:
            return response
        self._held = _Held(ResponseApdu(rest, response.sw))
        return ResponseApdu(response.data[:take], 0x6100 | (len(rest) & 0xFF if len(rest) < _SHORT else 0))

    def _continue(self, command: CommandApdu, held: _Held | None) -> ResponseApdu:
        """GET RESPONSE: the next piece; 6985 when nothing is held."""
        unless(not command.cla & SECURE_MESSAGING, StatusWord.SECURE_MESSAGING_NOT_SUPPORTED)
        unless(not command.cla & CHAINING, StatusWord.CHAINING_NOT_SUPPORTED)
        unless(command.p1 == 0 and command.p2 == 0, StatusWord.WRONG_P1_P2)
        unless(not command.data, StatusWord.WRONG_LENGTH)
        if held is None:
            raise Decline(StatusWord.CONDITIONS_OF_USE)
        if self._exact_le and len(held.response.data) < (command.ne or 0) <= _SHORT:
            self._held = held
            return ResponseApdu(sw=0x6C00 | len(held.response.data))
        return self._pieces(held.response, min(command.ne or 0, len(held.response.data)))


def _over_t0(command: CommandApdu) -> CommandApdu:
    """A short command as T=0 carries it (ISO 7816-3 12.2): data in one direction, and always P3, where 00 is 256."""
    command = replace(command, long=False)
    if command.extended:
        return command
    return replace(command, ne=None if command.data else command.ne or _SHORT)
