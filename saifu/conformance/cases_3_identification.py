"""Cases on what a card tells of itself to anybody: SELECT, GET DATA and READ RECORD."""

from apdu import ber
from apdu.commands import ANY_STATE, DATA_OBJECTS, RECORDS_PER_FILE, DataObject, Ins
from apdu.identity import AID, LifeCycle
from apdu.messages import Refusal
from apdu.objects import HistoryRecord, Kind
from apdu.payload import Tag, unpack
from apdu.status import StatusWord as W
from saifu.conformance.case import NotHereError, case
from saifu.conformance.harmless import OPEN_STATES, in_states
from saifu.conformance.provoking import fill, require_places, through
from saifu.conformance.stand import Stand
from saifu.conformance.subject import must

__all__: list[str] = []

_HEAD = 0x0105
_SELECTED = {LifeCycle.LOCKED_OUT: W.SELECTED_LOCKED_OUT, LifeCycle.TERMINATED: W.SELECTED_TERMINATED}


def _get_data(stand: Stand, number: int, sw: int | None = W.OK) -> bytes:
    return stand.card.send(Ins.GET_DATA, sw=sw, p1=number >> 8, p2=number & 0xFF)


# --- SELECT ------------------------------------------------------------------------------------------------------


@in_states("SELECT", "the FCI has the name, and inside A5 what GET DATA 0100 tells", *LifeCycle, ins=Ins.SELECT)
def _fci(stand: Stand) -> None:
    fci = stand.card.select(_SELECTED.get(stand.card.state, W.OK))
    must(ber.find(fci, 0x6F, 0x84) == AID, "the FCI names another application")
    must(ber.find(fci, 0x6F, 0xA5) == _get_data(stand, 0x0100), "the FCI and GET DATA 0100 differ")


@in_states("SELECT", "with P2 0C there is no FCI, and the same status word", *LifeCycle, ins=Ins.SELECT)
def _without_fci(stand: Stand) -> None:
    sw = _SELECTED.get(stand.card.state, W.OK)
    must(stand.card.send(Ins.SELECT, AID, sw, p1=4, p2=0x0C) == b"", "with P2 0C data came back")


@in_states("SELECT", "without a name the purse is meant: as with its own, and anew", *LifeCycle, ins=Ins.SELECT)
def _without_name(stand: Stand) -> None:
    sw = _SELECTED.get(stand.card.state, W.OK)
    fci = stand.card.select(sw)
    if stand.card.state is LifeCycle.ACTIVE:
        stand.verify()
    must(stand.card.send(Ins.SELECT, b"", sw, p1=4) == fci, "the FCI is another than with the name")
    _get_data(stand, 0x0108, None)  # the PIN counts as not verified: the oracle knows
    stand.card.reset()
    stand.card.send(Ins.SELECT, b"", sw, p1=4, p2=0x0C)
    _get_data(stand, 0x0107)


@in_states("What belongs to the platform", "a part of the name selects nothing, and what is selected stays as it is",
           ins=Ins.SELECT)  # fmt: skip
def _part_of_the_name(stand: Stand) -> None:
    stand.verify()
    for size in range(5, len(AID)):
        stand.card.send(Ins.SELECT, AID[:size], W.NOT_FOUND, p1=4)
        stand.verify(b"")


@in_states("SELECT 1", "no other name selects: no longer one, no other case", ins=Ins.SELECT)
def _other_names(stand: Stand) -> None:
    for name in (AID[1:], AID + b"\0", AID + bytes(10), AID[:-1] + b"X", AID.lower(), AID * 2, bytes(16)):
        for p2 in (0x00, 0x0C):
            stand.card.send(Ins.SELECT, name, W.NOT_FOUND, p1=4, p2=p2)


# --- GET DATA ----------------------------------------------------------------------------------------------------


def _word(stand: Stand, row: DataObject) -> W:
    if stand.card.state not in row.states:
        return W.CONDITIONS_OF_USE
    absent = row.number == _HEAD and not stand.card.twin.cells.head_known.number()
    return W.DATA_NOT_FOUND if absent else W.OK


@in_states("GET DATA 1", "there is no object beside the table's, whatever the state", *LifeCycle, ins=Ins.GET_DATA)
def _unknown_objects(stand: Stand) -> None:
    known = {row.number for row in DATA_OBJECTS}
    near = {row.number + step for row in DATA_OBJECTS for step in (-1, 1, 0x100, -0x100)}
    for number in sorted(near - known | {0x0000, 0x8100, 0xFFFF}):
        _get_data(stand, number, W.DATA_NOT_FOUND)


@in_states(
    "GET DATA 2", "each object is there in its states, with its tags, and in no other", *LifeCycle, ins=Ins.GET_DATA
)
def _objects_of_state(stand: Stand) -> None:
    for row in DATA_OBJECTS:
        sw = _word(stand, row)
        data = _get_data(stand, row.number, sw)
        without_id = row.states is ANY_STATE and stand.card.state in OPEN_STATES
        if sw is W.OK:
            unpack(data, [tag for tag in row.gives if not (without_id and tag is Tag.CARD_ID)])


@case("GET DATA 3", "a card that has not seen a head has none", ins=Ins.GET_DATA, spare=True)
def _no_head(stand: Stand) -> None:
    stand.card.fresh()
    _get_data(stand, _HEAD, W.DATA_NOT_FOUND)
    stand.card.session().put_date(stand.edition().head)
    _get_data(stand, _HEAD)


@in_states("GET DATA 3", "a head that was accepted is there as it came", ins=Ins.GET_DATA)
def _head(stand: Stand) -> None:
    head = stand.edition().head
    stand.card.session().put_date(head)
    must(unpack(_get_data(stand, _HEAD), (Tag.HEAD,))[Tag.HEAD] == head.raw, "the head is not the one that was put")


@in_states(
    "GET DATA", "what is unsettled and what was paid is told at once, and not after a settlement", ins=Ins.GET_DATA
)
def _follows_the_purse(stand: Stand) -> None:
    require_places(stand, 1)
    stand.ready(1000)
    payee = stand.other()
    paid = stand.paid(stand.asked_by(payee, 10))
    for row in DATA_OBJECTS:
        _get_data(stand, row.number, _word(stand, row))
    stand.settle(payee.receive(paid, stand.now))
    must(unpack(_get_data(stand, 0x0106), (Tag.UNSETTLED,))[Tag.UNSETTLED] == b"", "the transfer is unsettled still")


@in_states("GET DATA", "an open request is told, and its end", ins=Ins.GET_DATA)
def _follows_the_request(stand: Stand) -> None:
    stand.ready(0)
    payer = stand.other()
    requested = stand.requested(10, payer)
    _get_data(stand, 0x0102)
    stand.receive(payer.pay(requested, stand.now))
    _get_data(stand, 0x0102)


# --- READ RECORD -------------------------------------------------------------------------------------------------


def _read(stand: Stand, age: int, sw: int | None = W.OK) -> bytes:
    """The record of an age; the newest has 0."""
    file, record = divmod(age, RECORDS_PER_FILE)
    return stand.card.send(Ins.READ_RECORD, sw=sw, p1=record + 1, p2=file + 1 << 3 | 4)


def _kept(stand: Stand) -> int:
    cells = stand.card.twin.cells
    return min(cells.record.number(), cells.history_capacity)


@in_states("READ RECORD 1", "the newest record is record 1 of file 1", ins=Ins.READ_RECORD)
def _newest(stand: Stand) -> None:
    stand.ready(0)
    payer = stand.other().card
    stand.give(7)
    stand.give(8)
    for age, amount, balance in ((0, 8, 15), (1, 7, 7)):
        record = HistoryRecord.decode(_read(stand, age))
        told = (record.kind, record.other, record.amount, record.balance)
        must(told == (Kind.RECEIVED, payer, amount, balance), f"record {age + 1} is not that of the transfer")


@in_states(
    "READ RECORD 1", "records are there up to the oldest, and none behind it",
    LifeCycle.ACTIVE, LifeCycle.LOCKED_OUT, ins=Ins.READ_RECORD,
)  # fmt: skip
def _oldest(stand: Stand) -> None:
    kept = _kept(stand)
    if kept:
        _read(stand, kept - 1)
    for age in {kept, kept + 1, stand.card.twin.cells.history_capacity, RECORDS_PER_FILE * 5 - 1}:
        _read(stand, age, W.RECORD_NOT_FOUND)


@in_states("READ RECORD 1", "each file goes on where the one before has ended", ins=Ins.READ_RECORD)
def _files(stand: Stand) -> None:
    kept = _kept(stand)
    for file in range(5):
        for age in (file * RECORDS_PER_FILE, (file + 1) * RECORDS_PER_FILE - 1):
            _read(stand, age, W.OK if age < kept else W.RECORD_NOT_FOUND)


@in_states(
    "READ RECORD 1", "a full history has as many records as its capacity, the newest of all", ins=Ins.READ_RECORD
)
def _full(stand: Stand) -> None:
    stand.ready(1000)
    cells = stand.card.twin.cells
    missing = cells.history_capacity - cells.record.number()
    if missing > 0:
        fill(stand, missing)
    stand.card.fresh()
    newest, capacity = cells.record.number(), cells.history_capacity
    for age in (0, 1, capacity - 1):
        must(HistoryRecord.decode(_read(stand, age)).number == newest - age, f"record {age + 1} is another")
    _read(stand, capacity, W.RECORD_NOT_FOUND)


def _is_long(stand: Stand) -> bool:
    return stand.card.twin.cells.history_capacity > RECORDS_PER_FILE


def _with_a_second_file(stand: Stand) -> Stand:
    """This card, or a new one, in which record 255 is written; raises NotHereError when neither history is so long."""
    one = stand if _is_long(stand) else stand.spare()
    if one is None or not _is_long(one):
        raise NotHereError("the card has no more records than one file")
    if one is not stand:
        one.personalize()
    _write(one, RECORDS_PER_FILE + 1)
    return one


def _write(stand: Stand, records: int) -> None:
    """Payments that are refunded, until there are so many records."""
    stand.ready()
    partner = stand.partner()
    while _kept(stand) < records:
        if stand.unseen + 2 > stand.card.twin.cells.history_capacity:
            stand.renew()
        through(stand, partner, kind=Refusal)


@in_states("READ RECORD 1", "the 255th newest record is the first of file 2", ins=Ins.READ_RECORD)
def _second_file(stand: Stand) -> None:
    long = _with_a_second_file(stand)
    newest = long.card.twin.cells.record.number()
    for age in (RECORDS_PER_FILE - 1, RECORDS_PER_FILE):
        must(HistoryRecord.decode(_read(long, age)).number == newest - age, f"record {age + 1} is another")
    _read(long, RECORDS_PER_FILE + 1, W.OK if _kept(long) > RECORDS_PER_FILE + 1 else W.RECORD_NOT_FOUND)


@case("READ RECORD 1", "a card that has done no business has no record", ins=Ins.READ_RECORD, spare=True)
def _none_yet(stand: Stand) -> None:
    stand.card.fresh()
    for age in (0, 1, 253, 254):
        _read(stand, age, W.RECORD_NOT_FOUND)


@in_states("READ RECORD", "there are files 1 to 5, named by short identifiers alone", ins=Ins.READ_RECORD)
def _file_numbers(stand: Stand) -> None:
    for p2 in (0x04, 0x34, 0x0D, 0x08, 0xFC):
        stand.card.send(Ins.READ_RECORD, sw=W.WRONG_P1_P2, p1=1, p2=p2)
    for p1 in (0x00, 0xFF):
        stand.card.send(Ins.READ_RECORD, sw=W.WRONG_P1_P2, p1=p1, p2=0x0C)
