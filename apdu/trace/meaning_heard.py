"""One whole command of the purse and its answer, taken apart as the command table says."""

from collections.abc import Callable, Mapping
from functools import lru_cache

from apdu.command import CHAINING, SECURE_MESSAGING
from apdu.commands import BY_INS, DATA_OBJECTS, Command, Ins
from apdu.errors import FormatError
from apdu.messages import Outcome
from apdu.payload import Tag
from apdu.status import StatusWord
from apdu.trace import meaning_tags as tags
from apdu.trace.meaning_fields import Fields, Objects, chip, dgis, fci, history_record, new_keys, objects, public_key
from apdu.trace.meaning_memory import Ledger, Place, Purse

__all__ = ["GIVES_BYTES", "Header", "Heard", "brings_back", "header_of", "settling"]

# plain numbers: members of an enumeration take longer to look up and to compare
_OK, _WARNINGS = int(StatusWord.OK), (int(StatusWord.SELECTED_LOCKED_OUT), int(StatusWord.SELECTED_TERMINATED))
_REMEMBERED = 4096
"""Headers that are remembered: far more than any program sends, and bounded."""
_LONGEST_REASON = 300
"""Characters of a text that says why data do not parse."""
_OTHER_CLASS = ~(CHAINING | SECURE_MESSAGING)
_NEVER_PLAIN = (Ins.GET_RESPONSE, Ins.EXTERNAL_AUTHENTICATE)
_NO_FCI, _NEVER_RECEIVED = 0x0C, int(Outcome.NEVER_RECEIVED)
_ANSWERS = (tags.RECEIPT, tags.REFUSAL, tags.RESOLUTION)
_NO_FACTS: Mapping[str, int] = {}
_NO_OBJECTS: Objects = {}
"""Shared, and never changed."""


class Header:
    """What the first four bytes of a command of the purse say, worked out once."""

    __slots__ = ("gives", "ins", "number", "p1", "p2", "passes", "plain", "row", "takes", "tells")

    def __init__(self, row: Command, raw: bytes) -> None:
        """``row`` is that of the instruction, whatever the class."""
        cla, self.ins, self.p1, self.p2 = raw
        self.row, self.number = row, self.p1 << 8 | self.p2
        self.plain = cla == row.cla and self.ins not in _NEVER_PLAIN
        """Neither chaining nor secure messaging, and no part of either."""
        self.passes = self.p1 in row.p1 and self.p2 in row.p2
        """Whether dispatch lets P1 and P2 pass."""
        self.takes = _GIVEN.get(self.ins)
        """Reads the command's objects; None: it takes none."""
        self.gives = _got(self)
        """Reads the answer's objects; None: it has none."""
        self.tells = _RECORDS.get(self.ins)
        """Reads an answer that has no objects."""


@lru_cache(_REMEMBERED)
def header_of(raw: bytes) -> Header | None:
    """The header of a command by its first four bytes; None if there are not four, or it is not the purse's."""
    row = BY_INS.get(raw[1]) if len(raw) == 4 else None
    return None if row is None or (raw[0] ^ row.cla) & _OTHER_CLASS else Header(row, raw)


class Heard:
    """What was said, and what is in it; ``given`` and ``got`` are empty where something does not parse."""

    __slots__ = (
        "accepted",
        "answer",
        "clear",
        "data",
        "exact",
        "flaw",
        "given",
        "got",
        "grown",
        "header",
        "ins",
        "ledger",
        "opaque",
        "place",
        "purse",
        "record",
        "secured",
        "sw",
        "wrong",
    )

    def __init__(
        self,
        header: Header,
        data: bytes,
        response: bytes,
        place: Place,
        ledger: Ledger,
        *,
        secured: bool = False,
        opaque: bool = False,
    ) -> None:
        """``response`` is the joined answer, at least two bytes; ``opaque``: encrypted, and not opened."""
        self.header, self.ins = header, header.ins
        self.data, self.place, self.ledger = data, place, ledger
        self.secured, self.opaque = secured, opaque
        self.answer = response[:-2]
        self.sw = sw = response[-2] << 8 | response[-1]
        self.accepted = accepted = sw == _OK or sw in _WARNINGS
        self.purse: Purse | None = place.purse
        """The card that this is about."""
        self.given = self.got = _NO_OBJECTS
        self.record: Fields = None
        """The answer of commands that answer with no objects."""
        self.exact = self.grown = _NO_FACTS
        """Facts that hold now, and numbers that never go back, as the card tells them."""
        self.wrong = self.flaw = ""
        """Why the command's data do not parse, and why the answer does not."""
        if not opaque:
            # not in functions of their own: there is nothing that an inspector does more often
            try:
                if header.takes is not None:
                    self.given = header.takes(data)
            except FormatError as error:
                self.wrong = str(error)[:_LONGEST_REASON]
            try:
                if accepted and header.gives is not None:
                    self.got = header.gives(self.answer)
                elif accepted and header.tells is not None:
                    self.record = header.tells(self.answer)
            except FormatError as error:
                self.flaw = str(error)[:_LONGEST_REASON]
        self.clear = accepted and not (opaque or self.wrong or self.flaw)
        """Accepted, and all of it can be read."""

    @property
    def row(self) -> Command:
        """The row of the command table."""
        return self.header.row


def settling(heard: Heard) -> tuple[Tag, Fields]:
    """What SETTLE brings, beside a date: receipt, refusal or resolution, which always comes where the data parse."""
    return next((tag, heard.given[tag]) for tag in _ANSWERS if tag in heard.given)


def brings_back(heard: Heard) -> bool:
    """Whether SETTLE brings the money back: for a refusal, and a resolution that says never received."""
    given = heard.given
    return tags.REFUSAL in given or (tags.RESOLUTION in given and given[tags.RESOLUTION].outcome == _NEVER_RECEIVED)


def _store_data(raw: bytes) -> Objects:
    dgis(raw)
    return {}


_GIVEN: dict[int, Callable[[bytes], Objects]] = {
    int(row.ins): objects(row.takes, row.optional, row.one_of, ends=row.ins == Ins.TERMINATE)
    for row in BY_INS.values()
    if row.carries
}
_GIVEN[int(Ins.STORE_DATA)] = _store_data


def _no_fci(raw: bytes) -> Objects:
    if raw:
        raise FormatError("an FCI came that was not asked for")
    return {}


def _no_object(number: int) -> Callable[[bytes], Objects]:
    def _read(_: bytes) -> Objects:
        raise FormatError(f"there is no object {number:04X}")

    return _read


_DATA = {row.number: objects(row.gives) for row in DATA_OBJECTS}
_STATUS = next(row for row in DATA_OBJECTS if Tag.STATUS in row.gives).number
# a card without an ID leaves it out
_DATA[_STATUS] = objects((Tag.STATUS,), (Tag.CARD_ID,))


def _got(header: Header) -> Callable[[bytes], Objects] | None:
    """What reads the objects of the answer to a command."""
    if header.ins == Ins.SELECT:
        return _no_fci if header.p2 == _NO_FCI else fci
    if header.ins == Ins.GET_DATA:
        return _DATA.get(header.number) or _no_object(header.number)
    return _OBJECTS.get(header.ins)


_OBJECTS: dict[int, Callable[[bytes], Objects]] = {
    int(row.ins): objects(row.gives) for row in BY_INS.values() if row.gives
}
_OBJECTS[int(Ins.RECEIVE)] = objects((), (), BY_INS[Ins.RECEIVE].gives)
_RECORDS: dict[int, Callable[[bytes], Fields]] = {
    int(Ins.READ_RECORD): history_record,
    int(Ins.INITIALIZE_UPDATE): chip,
    int(Ins.GENERATE_KEY_PAIR): public_key,
    int(Ins.PUT_KEY): new_keys,
}
GIVES_BYTES = frozenset({*_OBJECTS, *_RECORDS, int(Ins.SELECT), int(Ins.GET_DATA), int(Ins.GET_RESPONSE)})
"""Instructions whose answers have data."""
