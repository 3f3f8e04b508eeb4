"""SELECT and GET DATA: what the card tells about itself to anybody (ID store 4/10, amount store 2/8)."""

from collections.abc import Callable

from apdu import ber
from apdu.commands import ANY_STATE, DATA_OBJECTS
from apdu.identity import AID, LifeCycle
from apdu.objects import Counters, CreditUsed, PurseStatus, ReferenceData
from apdu.payload import Tag
from apdu.response import ResponseApdu
from apdu.status import StatusWord
from applet_model import history, unsettled
from applet_model.card_state import Call, CardState
from applet_model.decline import Decline, unless
from applet_model.payload import pack

__all__ = ["get_data", "select"]

_WITHOUT_FCI = 0x0C
_SELECTED = {
    LifeCycle.LOCKED_OUT: StatusWord.SELECTED_LOCKED_OUT,
    LifeCycle.TERMINATED: StatusWord.SELECTED_TERMINATED,
}


def select(card: CardState, call: Call) -> ResponseApdu:
    """SELECT by name: FCI 6F {84 name, A5 {80 card ID, 81 status}} (ISO 7816-4 clause 7.4).

    Without a name it is the default application that is meant, and the purse is the only one here.
    """
    unless(call.command.data in (AID, b""), StatusWord.NOT_FOUND)
    card.forget_selection()
    card.selected = True
    sw = _SELECTED.get(card.life_cycle, StatusWord.OK)
    if call.command.p2 == _WITHOUT_FCI:
        return ResponseApdu(sw=sw)
    fci = ber.encode(0x84, AID) + ber.encode(0xA5, pack(_status(card)))
    return ResponseApdu(ber.encode(0x6F, fci), sw)


def _status(card: CardState) -> dict[Tag, bytes]:
    """Card ID (once there is one) and status."""
    cells, state = card.cells, card.life_cycle
    waiting = len(unsettled.used(card))
    status = PurseStatus(state, waiting, cells.balance.number(), cells.edition.number()).encode()
    if state in (LifeCycle.BLANK, LifeCycle.PERSONALIZATION):
        return {Tag.STATUS: status}
    return {Tag.CARD_ID: card.certificate.subject, Tag.STATUS: status}


def _parameters(card: CardState) -> dict[Tag, bytes]:
    return {Tag.PARAMETERS: card.cells.parameters.get()}


def _counters(card: CardState) -> dict[Tag, bytes]:
    cells = card.cells
    counters = Counters(
        cells.payments.number(),
        cells.request_number.number(),
        cells.request_open.number(),
        cells.record.number(),
        history.seen(card),
        cells.chain.get(),
        cells.chain_before.get(),
        cells.date.number(),
        cells.without_pin.number(),
    )
    return {Tag.COUNTERS: counters.encode()}


def _certificate(card: CardState) -> dict[Tag, bytes]:
    return {Tag.CERTIFICATE: card.cells.certificate.get()}


def _credit(card: CardState) -> dict[Tag, bytes]:
    used = CreditUsed(card.cells.used_count.number(), card.cells.used_amount.number())
    return {Tag.CREDIT: card.cells.credit.get(), Tag.CREDIT_USED: used.encode()}


def _head(card: CardState) -> dict[Tag, bytes]:
    unless(card.cells.head_known.number() == 1, StatusWord.DATA_NOT_FOUND)
    return {Tag.HEAD: card.cells.head.get()}


def _unsettled(card: CardState) -> dict[Tag, bytes]:
    return {Tag.UNSETTLED: b"".join(entry.encode() for entry in unsettled.entries(card))}


def _capacities(card: CardState) -> dict[Tag, bytes]:
    return {Tag.CAPACITIES: card.cells.capacities.encode()}


def _reference_data(card: CardState) -> dict[Tag, bytes]:
    tries = ReferenceData(card.cells.pin_tries.number(), card.cells.puk_tries.number(), int(card.session.pin_verified))
    return {Tag.REFERENCE_DATA: tries.encode()}


_READERS: tuple[Callable[[CardState], dict[Tag, bytes]], ...] = (
    _status,
    _parameters,
    _counters,
    _certificate,
    _credit,
    _head,
    _unsettled,
    _capacities,
    _reference_data,
)
_OBJECTS = {row.number: (row, reader) for row, reader in zip(DATA_OBJECTS, _READERS, strict=True)}


def get_data(card: CardState, call: Call) -> ResponseApdu:
    """GET DATA: P1-P2 is the number of the object."""
    number = call.command.p1 << 8 | call.command.p2
    if number not in _OBJECTS:
        raise Decline(StatusWord.DATA_NOT_FOUND)
    row, reader = _OBJECTS[number]
    unless(row.states is ANY_STATE or card.life_cycle in row.states, StatusWord.CONDITIONS_OF_USE)
    return ResponseApdu(pack(reader(card)))
