"""One whole command of the purse and its answer, taken apart as the command table says."""

from collections.abc import Callable, Mapping

from apdu.commands import BY_INS, DATA_OBJECTS, Command, Ins
from apdu.errors import FormatError
from apdu.messages import Outcome
from apdu.payload import Tag
from apdu.status import StatusWord
from apdu.trace.meaning_fields import Fields, Objects, chip, dgis, fci, history_record, objects, public_key
from apdu.trace.meaning_memory import Ledger, Place, Purse

__all__ = ["GIVES_BYTES", "Heard", "brings_back"]

_ACCEPTED = frozenset((StatusWord.OK, StatusWord.SELECTED_LOCKED_OUT, StatusWord.SELECTED_TERMINATED))
_NO_FCI = 0x0C
_NO_FACTS: Mapping[str, int] = {}


class Heard:
    """What was said, and what is in it; ``given`` and ``got`` are empty where something does not parse."""

    __slots__ = (
        "accepted",
        "answer",
        "cla",
        "data",
        "exact",
        "flaw",
        "given",
        "got",
        "grown",
        "ins",
        "ledger",
        "number",
        "opaque",
        "p1",
        "p2",
        "place",
        "purse",
        "record",
        "row",
        "secured",
        "sw",
        "wrong",
    )

    def __init__(
        self,
        row: Command,
        header: bytes,
        data: bytes,
        response: bytes,
        place: Place,
        ledger: Ledger,
        *,
        secured: bool = False,
        opaque: bool = False,
    ) -> None:
        """``response`` is the joined answer, at least two bytes; ``opaque``: encrypted, and not opened."""
        self.row, self.data, self.place, self.ledger = row, data, place, ledger
        self.secured, self.opaque = secured, opaque
        self.cla, self.ins, self.p1, self.p2 = header
        self.number = self.p1 << 8 | self.p2
        self.answer, self.sw = response[:-2], response[-2] << 8 | response[-1]
        self.accepted = self.sw in _ACCEPTED
        self.purse: Purse | None = None
        """The card that this is about."""
        self.given: Objects = {}
        self.got: Objects = {}
        self.record: Fields = None
        """The answer of commands that answer with no objects."""
        self.exact: Mapping[str, int] = _NO_FACTS
        """Facts that hold now, as the card tells them."""
        self.grown: Mapping[str, int] = _NO_FACTS
        """Numbers that never go back, as the card tells them."""
        self.wrong = ""
        """Why the command's data do not parse."""
        self.flaw = ""
        """Why the answer does not parse."""
        if not opaque:
            self._take_apart()

    def _take_apart(self) -> None:
        if (given := _GIVEN.get(self.ins)) is not None:
            try:
                self.given = given(self.data)
            except FormatError as error:
                self.wrong = str(error)
        if self.accepted and (answer := _ANSWERS.get(self.ins)) is not None:
            try:
                answer(self)
            except FormatError as error:
                self.flaw = str(error)


def brings_back(heard: Heard) -> bool:
    """Whether SETTLE brings the money back: for a refusal, and a resolution that says never received."""
    tag, body = next(iter(heard.given.items()))
    return tag is Tag.REFUSAL or (tag is Tag.RESOLUTION and body.outcome == Outcome.NEVER_RECEIVED)


def _one(read: Callable[[bytes], Objects]) -> Callable[[bytes], Objects]:
    """SETTLE takes one of its objects, RECEIVE answers with one of its own."""

    def _read_one(raw: bytes) -> Objects:
        found = read(raw)
        if len(found) != 1:
            raise FormatError(f"{len(found)} objects are there, not one")
        return found

    return _read_one


def _store_data(raw: bytes) -> Objects:
    dgis(raw)
    return {}


_GIVEN: dict[int, Callable[[bytes], Objects]] = {
    row.ins: objects(row.takes, row.optional, ends=row.ins == Ins.TERMINATE)
    for row in BY_INS.values()
    if row.takes or row.optional
}
_GIVEN |= {Ins.SETTLE: _one(_GIVEN[Ins.SETTLE]), Ins.STORE_DATA: _store_data}


def _got(read: Callable[[bytes], Objects]) -> Callable[[Heard], None]:
    def _take_apart(heard: Heard) -> None:
        heard.got = read(heard.answer)

    return _take_apart


def _record(read: Callable[[bytes], Fields]) -> Callable[[Heard], None]:
    def _take_apart(heard: Heard) -> None:
        heard.record = read(heard.answer)

    return _take_apart


def _select(heard: Heard) -> None:
    if heard.p2 != _NO_FCI:
        heard.got = fci(heard.answer)
    elif heard.answer:
        raise FormatError("an FCI came that was not asked for")


_DATA = {row.number: objects(row.gives) for row in DATA_OBJECTS}
_STATUS = next(row for row in DATA_OBJECTS if Tag.STATUS in row.gives).number
# a card without an ID leaves it out
_DATA[_STATUS] = objects((Tag.STATUS,), (Tag.CARD_ID,))


def _get_data(heard: Heard) -> None:
    if (read := _DATA.get(heard.number)) is None:
        raise FormatError(f"there is no object {heard.number:04X}")
    heard.got = read(heard.answer)


_ANSWERS: dict[int, Callable[[Heard], None]] = {
    **{row.ins: _got(objects(row.gives)) for row in BY_INS.values() if row.gives},
    Ins.RECEIVE: _got(_one(objects((), BY_INS[Ins.RECEIVE].gives))),
    Ins.SELECT: _select,
    Ins.GET_DATA: _get_data,
    Ins.READ_RECORD: _record(history_record),
    Ins.INITIALIZE_UPDATE: _record(chip),
    Ins.GENERATE_KEY_PAIR: _record(public_key),
}
GIVES_BYTES = frozenset(_ANSWERS) | {int(Ins.GET_RESPONSE)}
"""Instructions whose answers have data."""
