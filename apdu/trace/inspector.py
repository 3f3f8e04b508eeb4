"""Inspection: every item of a trace in words, with what was unexpected, in one pass and in bounded memory.

Transport is undone first: parts of a chain are joined at the last one, pieces of an answer (61xx and GET RESPONSE)
likewise, and a secure channel is opened where a listener has the keys. What is whole then goes through the command
table when it is the purse's, and through the names of the standards when it is another card's.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from apdu.command import CHAINING, SECURE_MESSAGING, CommandApdu
from apdu.commands import BY_INS, Command, Ins
from apdu.counting import counted
from apdu.errors import FormatError
from apdu.identity import AID
from apdu.status import status_text
from apdu.trace.applications import find_application
from apdu.trace.expectations import (
    ANNOUNCED,
    NO_ANSWER,
    PURSE_INS,
    left_open,
    not_fetched,
    nothing_to_fetch,
    surprises,
)
from apdu.trace.meaning import outcome, step_of, what
from apdu.trace.meaning_follow import TELLING, follow, lost, recognize
from apdu.trace.meaning_generic import generic_outcome, generic_what
from apdu.trace.meaning_heard import Header, Heard, header_of
from apdu.trace.meaning_memory import Chain, Ledger, Place, Waiting
from apdu.trace.meaning_words import MOST_CHARACTERS, cut_text
from apdu.trace.model import Exchange, Item, Remark, Reset
from apdu.trace.names import GSM, PCSC, name_of
from apdu.trace.reading import Listener, Opened, Reading

__all__ = ["MOST_SLOTS", "Inspector", "inspect"]

MOST_SLOTS = 256
"""Slots whose state is kept; the oldest is forgotten first."""

_MOST_BYTES = 65536
"""The most that a chain or an answer in pieces may have; no card's is longer."""
_WRONG_LE = 0x6C
_HALF = (ANNOUNCED, _WRONG_LE)
_BY_NAME, _NO_PARTS = 0x04, b"-"
_LONGEST_PIECE, _LONGEST_AID = 256, 16
_MAC = 8
_NOTHING = b"\0\0"
_OF_CLASS = (GSM, PCSC)
"""Standards whose commands have a class of their own, whatever is selected."""
# a member of an enumeration takes long to look up
_SELECT, _GET_RESPONSE, _AUTHENTICATE = int(Ins.SELECT), int(Ins.GET_RESPONSE), int(Ins.EXTERNAL_AUTHENTICATE)
_MAC_ONLY, _BOTH_MACS = 0x01, 0x11


def _fixed(row: Command) -> tuple[str, str, str]:
    return name_of(bytes((row.cla, row.ins)), "saifu").standard, row.name, step_of(row)


_FIXED = {int(row.ins): _fixed(row) for row in BY_INS.values()}
"""Standard, name and step of each instruction."""

_SURE = PURSE_INS | {_SELECT}
"""Instructions that are the purse's whatever is known to be selected; SELECT, with its name."""


class _Words(NamedTuple):
    """What is told of one exchange: the fields of Reading behind its item."""

    plain: Exchange | None
    standard: str
    name: str
    what: str
    outcome: str
    step: str = ""
    unexpected: tuple[str, ...] = ()


_Told = tuple[Exchange | None, str, str, str, str, str, tuple[str, ...]]
"""The same as a plain tuple, which is made faster; nearly all exchanges need no more."""
_NO_WORDS = (None, "", "", "", "", "")
# what the constructor does, without its check of arguments
_reading: Callable[[type[Reading], tuple[object, ...]], Reading] = tuple.__new__


class Inspector:
    """Reads a trace item by item; remembers what is selected, who paid whom, and what was never answered."""

    def __init__(self, listener: Listener | None = None) -> None:
        """``listener`` opens secure channels; without one they stay closed."""
        self._listener = listener
        self._places: dict[str, Place] = {}
        self._ledger = Ledger()
        self._number = 0

    def read(self, item: Item) -> Reading:
        """The next item in words; items come in their order. Never raises for what is in them."""
        self._number += 1
        if isinstance(item, Exchange):
            if (told := self._at_once(item)) is None:
                told = self._exchange(item)
            return _reading(Reading, (self._number, item) + told)  # noqa: RUF005  (twice as fast as unpacking)
        if isinstance(item, Reset):
            return _reading(Reading, (self._number, item, *_NO_WORDS, self._reset(item.slot)))
        return Reading(self._number, item)

    def end(self) -> list[str]:
        """What the end of the trace leaves open: answers that were not fetched, values without an answer."""
        found = []
        for slot, place in self._places.items():
            if text := not_fetched(place):
                found.append(f"{slot}: {text}" if slot else text)
        return found + left_open(self._ledger)

    def _place(self, slot: str) -> Place:
        found = self._places.get(slot)
        if found is None:
            if len(self._places) >= MOST_SLOTS:
                del self._places[next(iter(self._places))]
            found = self._places[slot] = Place()
        return found

    def _reset(self, slot: str) -> tuple[str, ...]:
        place = self._places.get(slot) or self._place(slot)
        left = self._abandon(place, slot) if place.waiting is not None else ()
        place.reset()
        if self._listener is not None:
            self._listener.reset(slot)
        return left

    def _abandon(self, place: Place, slot: str) -> tuple[str, ...]:
        """Nobody fetches the answer that is held."""
        if place.waiting is None:
            return ()
        text, command = not_fetched(place), place.waiting.command
        if self._listener is not None:
            self._listener.hear(Exchange(command, None, slot))
        lost(command[1], place)
        place.waiting = None
        return (text,) if text else ()

    # --- transport -----------------------------------------------------------------------------------------

    def _at_once(self, item: Exchange) -> _Told | None:
        """The purse's commands that come whole and are answered whole, as nearly all do; None: this one is not so."""
        command, response = item.command, item.response
        header = header_of(command[:4])
        if header is None or not header.plain or self._listener is not None:
            return None
        if response is None or len(response) < 2 or response[-2] in _HALF:
            return None
        # as _data has it, which is not called for most: there is nothing that an inspector does more often
        size = len(command)
        data = command[5 : 5 + lc] if size > 5 and (lc := command[4]) and size - 6 <= lc <= size - 5 else _data(command)
        place = self._places.get(item.slot) or self._place(item.slot)
        if data is None or place.waiting is not None or place.chain is not None or not _is_own(place, header, data):
            return None
        place.fresh = False
        return self._told(Heard(header, data, response, place, self._ledger), command, response)

    def _exchange(self, item: Exchange) -> _Words:
        """Any exchange."""
        place = self._place(item.slot)
        command, response = item.command, item.response
        left: tuple[str, ...] = ()
        if len(command) > 3 and command[1] == _GET_RESPONSE and not command[0] & 0x80:
            words = self._fetch(place, item)
        else:
            if place.waiting is not None and not _repeats(place.waiting, command):
                left = self._abandon(place, item.slot)
            place.waiting = None
            words = self._answered(place, item, command, b"", response)
        place.fresh = False
        return _bounded(words, left)

    def _fetch(self, place: Place, item: Exchange) -> _Words:
        """GET RESPONSE: a piece of an answer, or its end."""
        waiting, named = place.waiting, name_of(item.command, "saifu" if place.ours else "")
        if waiting is None:
            text = nothing_to_fetch(place) if place.ours else ""
            own = _own(place, item.command)
            words = _generic(place, item.command, item.response)
            return words._replace(step=step_of(own.row) if own is not None else "", unexpected=(text,) if text else ())
        words = self._answered(place, item, waiting.command, waiting.pieces, item.response)
        told = f"{words.name}  {words.what}".rstrip()
        return words._replace(standard=named.standard, name=named.name, what=f"of {told}")

    def _answered(self, place: Place, item: Exchange, command: bytes, pieces: bytes, response: bytes | None) -> _Words:
        """A command with what has come of its answer: nothing, a piece, or the end."""
        if response is None or len(response) < 2:
            return self._unanswered(place, item, command, response)
        word = response[-2]
        if word in _HALF and len(command) > 3 and (place.waiting is None or place.waiting.size < _MOST_BYTES):
            return self._piece(place, command, pieces, response)
        place.waiting = None
        whole = pieces + response if pieces else response
        if len(command) < 4:
            return _generic(place, command, whole)
        opened = self._hear(item, command, whole)
        words = self._whole(place, command, whole, opened)
        if opened is None:
            return words
        return words._replace(plain=opened.plain, unexpected=words.unexpected + opened.faults)

    def _unanswered(self, place: Place, item: Exchange, command: bytes, response: bytes | None) -> _Words:
        self._hear(item, command, response)
        place.waiting = place.chain = None
        if len(command) > 3:
            lost(command[1], place)
        text = NO_ANSWER if response is None else "an answer without a status word"
        return self._sent(place, command, text)._replace(unexpected=(text,))

    def _piece(self, place: Place, command: bytes, pieces: bytes, response: bytes) -> _Words:
        """61xx: more waits; 6Cxx: the answer waits for the right Le."""
        word, low, before, part = response[-2], response[-1], place.waiting, response[:-2]
        waits = f"{counted(low, 'byte')} wait" if low else "256 bytes or more wait"
        said = f"{word:02X}{low:02X}: {waits if word == ANNOUNCED else status_text(word << 8 | low)}"
        if before is None:
            words = self._sent(place, command, said)
        else:
            standard, name, told, step = before.told
            words = _Words(None, standard, name, told, said, step)
        size = (before.size if before is not None else 0) + (len(part) or _LONGEST_PIECE)
        told_of = words.standard, words.name, words.what, words.step
        place.waiting = Waiting(command, word, pieces + part, size, told_of)
        return words

    def _sent(self, place: Place, command: bytes, said: str) -> _Words:
        """A command whose answer is not there, or not yet."""
        words = _generic(place, command, None)
        header, data = _own(place, command), _data(command)
        if header is None:
            return words._replace(outcome=said)
        told = words.what
        if data is not None and not command[0] & CHAINING:
            secured = bool(command[0] & SECURE_MESSAGING) and command[1] != _AUTHENTICATE
            heard = Heard(header, data, _NOTHING, place, self._ledger, secured=secured, opaque=secured)
            told = what(heard) if place.ours or not heard.wrong else told
        standard, name, step = _FIXED[header.ins]
        return _Words(None, standard, name, told, said, step)

    def _hear(self, item: Exchange, command: bytes, response: bytes | None) -> Opened | None:
        if self._listener is None:
            return None
        if command is item.command and response is item.response:
            return self._listener.hear(item)
        return self._listener.hear(Exchange(command, response, item.slot, item.time, item.seconds))

    # --- what is whole -------------------------------------------------------------------------------------

    def _whole(self, place: Place, command: bytes, response: bytes, opened: Opened | None) -> _Words:
        header, data = _own(place, command), _data(command)
        if header is None or data is None:
            place.chain = None
            return self._foreign(place, command, response)
        if command[0] & CHAINING:
            return self._part(place, header, command, data, response)
        chain, place.chain = place.chain, None
        if chain is not None and chain.header == command[:4]:
            data = chain.data + data
        return self._own(place, header, command, data, response, opened)

    def _part(self, place: Place, header: Header, command: bytes, data: bytes, response: bytes) -> _Words:
        """A part of a chain that goes on."""
        last = bytes((command[0] & ~CHAINING,)) + command[1:4]
        chain = place.chain if place.chain is not None and place.chain.header == last else Chain(last)
        taken = response[-2:] == b"\x90\x00" and len(chain.data) + len(data) <= _MOST_BYTES
        place.chain = Chain(last, chain.data + data, chain.parts + 1) if taken else None
        heard = Heard(header, data, response, place, self._ledger, opaque=True)
        told = f"part {chain.parts + 1}, {counted(len(data), 'byte')}; more follows"
        said = outcome(heard)
        unexpected = () if taken else surprises(heard)
        standard, name, step = _FIXED[header.ins]
        return _Words(None, standard, name, told, said, step, unexpected)

    def _own(
        self, place: Place, header: Header, command: bytes, data: bytes, response: bytes, opened: Opened | None
    ) -> _Words:
        """A command of the purse, told from what is in it."""
        secured = opaque = False
        if command[0] & SECURE_MESSAGING and header.ins != _AUTHENTICATE:
            secured = True
            data, response, opaque = _unwrapped(place, data, response, opened)
        heard = Heard(header, data, response, place, self._ledger, secured=secured, opaque=opaque)
        return _Words(*self._told(heard, command, response))

    def _told(self, heard: Heard, command: bytes, response: bytes) -> _Told:
        """One whole exchange in words; what it changes is remembered."""
        ins, place = heard.ins, heard.place
        sure = ins in _SURE or place.application == AID
        if not sure and (heard.flaw or heard.wrong):
            return _generic(place, command, response)
        if ins in TELLING or heard.purse is None:
            recognize(heard)
        unexpected = surprises(heard) if sure else ()
        standard, name, step = _FIXED[ins]
        told = (None, standard, name, what(heard), outcome(heard), step, unexpected)
        follow(heard)
        if heard.accepted and ins in PURSE_INS:
            place.application = AID
        return told

    def _foreign(self, place: Place, command: bytes, response: bytes) -> _Words:
        """A command of another application, or one that the purse does not know."""
        if command[1] == _SELECT and not command[0] & 0x80 and response[-2] in (0x90, 0x62):
            place.purse, place.level, place.verified = None, 0, False
            name = _data(command) if command[2] == _BY_NAME else b""
            # one byte more than a name has: cut to 16, a longer one could be the purse's
            place.application = name[: _LONGEST_AID + 1] if name else _NO_PARTS
        return _generic(place, command, response)


def inspect(items: Iterable[Item], listener: Listener | None = None) -> Iterator[Reading]:
    """All readings of a trace; the last ones tell what its end leaves open, as remarks that are unexpected."""
    inspector = Inspector(listener)
    yield from map(inspector.read, items)
    for text in inspector.end():
        yield inspector.read(Remark(text))._replace(unexpected=(text,))


# --- small things ------------------------------------------------------------------------------------------


def _repeats(waiting: Waiting, command: bytes) -> bool:
    """Whether a command is the one that got 6Cxx, with another Le."""
    return waiting.word == _WRONG_LE and len(command) >= 4 and command[:-1] == waiting.command[: len(command) - 1]


def _data(command: bytes) -> bytes | None:
    """The data of a command; None if its length fields do not fit."""
    size = len(command)
    # short commands, which nearly all are, need no parser
    if size > 5 and (lc := command[4]) and size - 6 <= lc <= size - 5:
        return command[5 : 5 + lc]
    if size in (4, 5):
        return b""
    try:
        return CommandApdu.decode(command).data
    except FormatError:
        return None


def _is_own(place: Place, header: Header, data: bytes | None) -> bool:
    """Whether a command is for the purse: SELECT with its name; others while it, or nothing known, is selected."""
    if header.ins == _SELECT:
        return data == AID and header.p1 == _BY_NAME
    application = place.application
    return not application or application == AID


def _own(place: Place, command: bytes) -> Header | None:
    """The purse's header of a command that is for the purse."""
    header = header_of(command[:4])
    return header if header is not None and _is_own(place, header, _data(command)) else None


def _unwrapped(place: Place, data: bytes, response: bytes, opened: Opened | None) -> tuple[bytes, bytes, bool]:
    """Data and answer without secure messaging, and whether they stay hidden."""
    if opened is not None:
        plain = _data(opened.plain.command) if opened.plain is not None and len(opened.plain.command) > 3 else None
        answer = opened.plain.response if opened.plain is not None else None
        if plain is None or answer is None or len(answer) < 2:
            return data, response, True
        return plain, answer, False
    if place.level not in (_MAC_ONLY, _BOTH_MACS):
        return data, response, True
    with_mac = place.level == _BOTH_MACS and response[-2] in (0x90, 0x62, 0x63)
    return data[:-_MAC], response[: -_MAC - 2] + response[-2:] if with_mac else response, False


def _bounded(words: _Words, left: tuple[str, ...]) -> _Words:
    """The words cut to a length that no trace can exceed; what was left behind goes before what is unexpected."""
    if not left and not words.unexpected and len(words.what) + len(words.outcome) < MOST_CHARACTERS:
        return words
    unexpected = tuple(map(cut_text, left + words.unexpected))
    return words._replace(what=cut_text(words.what), outcome=cut_text(words.outcome), unexpected=unexpected)


def _standard(place: Place) -> str:
    """Whose names come first, by what is selected."""
    if not place.application:
        return ""
    found = find_application(place.application)
    return found.standard if found is not None else "ISO 7816-4"


def _generic(place: Place, command: bytes, response: bytes | None) -> _Words:
    """Any card's exchange by the names of the standards, with the sizes of what is in it."""
    standard = _standard(place)
    named = name_of(command, standard)
    ins = command[1] if len(command) > 3 else None
    own = named.standard if named.standard in _OF_CLASS else standard
    return _Words(
        None,
        named.standard,
        named.name,
        generic_what(command, _data(command), named.name, own if own == PCSC else standard),
        generic_outcome(response, own, ins),
    )
