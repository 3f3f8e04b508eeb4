"""The order of checks, and the way from a row of the command table to its handler.

The order is CLA, INS, secure messaging, chaining, selection, life cycle, P1-P2, Lc, security condition,
objects; only then does a handler judge the business. protocol.md gives it with the status words.
"""

from collections.abc import Callable

from apdu.command import CHAINING, SECURE_MESSAGING, CommandApdu
from apdu.commands import BY_INS, CHAIN_CAPACITY, Command, Ins, Security
from apdu.errors import FormatError
from apdu.identity import LifeCycle
from apdu.payload import Tag, unpack
from apdu.response import ResponseApdu
from apdu.status import StatusWord
from applet_model import attest, credit, history, identification, lock_out, personalization, pin, purse
from applet_model.card_state import Call, CardState
from applet_model.decline import Decline, unless

__all__ = ["HANDLERS", "check_class", "check_header", "execute", "find_row"]

Handler = Callable[[CardState, Call], ResponseApdu]

HANDLERS: dict[Ins, Handler] = {
    Ins.SELECT: identification.select,
    Ins.GET_DATA: identification.get_data,
    Ins.READ_RECORD: history.read_record,
    Ins.VERIFY: pin.verify,
    Ins.CHANGE_REFERENCE_DATA: pin.change_reference_data,
    Ins.RESET_RETRY_COUNTER: pin.reset_retry_counter,
    Ins.INITIALIZE_UPDATE: personalization.initialize_update,
    Ins.EXTERNAL_AUTHENTICATE: personalization.external_authenticate,
    Ins.GENERATE_KEY_PAIR: personalization.generate_key_pair,
    Ins.STORE_DATA: personalization.store_data,
    Ins.REQUEST: purse.request,
    Ins.PAY: purse.pay,
    Ins.RECEIVE: purse.receive,
    Ins.SETTLE: purse.settle,
    Ins.GIVE_AGAIN: purse.give_again,
    Ins.PUT_CREDIT: credit.put_credit,
    Ins.ATTEST: attest.attest,
    Ins.LOCK_OUT: lock_out.lock_out,
    Ins.UNLOCK: lock_out.unlock,
    Ins.PUT_DATE: lock_out.put_date,
    Ins.TERMINATE: lock_out.terminate,
}
"""A handler for every row; GET RESPONSE alone is answered by the transmission layer."""

_CLASSES = (0x00, 0x80)
_CHANNELS = 0x03


def check_class(cla: int) -> None:
    """CLA: 00 or 80, with bits for chaining (10) and secure messaging (04); other channels get 6881."""
    base = cla & ~(CHAINING | SECURE_MESSAGING)
    unless(base & ~_CHANNELS in _CLASSES, StatusWord.CLA_NOT_SUPPORTED)
    unless(not base & _CHANNELS, StatusWord.CHANNEL_NOT_SUPPORTED)


def find_row(command: CommandApdu) -> Command:
    """INS: the row, if the instruction is known, and known in this class (EXTERNAL AUTHENTICATE: 84 only)."""
    row = BY_INS.get(command.ins)
    if row is None:
        raise Decline(StatusWord.INS_NOT_SUPPORTED)
    unless((command.cla ^ row.cla) & 0x80 == 0, StatusWord.CLA_NOT_SUPPORTED)
    unless(command.cla & row.cla == row.cla, StatusWord.CLA_NOT_SUPPORTED)
    return row


def check_header(card: CardState, row: Command, command: CommandApdu) -> None:
    """Selection, life cycle and P1-P2: all that can be judged before the data is complete."""
    unless(card.selected or row.ins is Ins.SELECT, StatusWord.CONDITIONS_OF_USE)
    state = card.life_cycle
    if state not in row.states:
        locked = state is LifeCycle.LOCKED_OUT and LifeCycle.ACTIVE in row.states
        raise Decline(StatusWord.LOCKED_OUT if locked else StatusWord.CONDITIONS_OF_USE)
    unless(command.p1 in row.p1 and command.p2 in row.p2, StatusWord.WRONG_P1_P2)


def execute(card: CardState, row: Command, command: CommandApdu, protected: bool) -> ResponseApdu:
    """Lc, security condition, objects; then the handler."""
    unless(len(command.data) in row.lc and len(command.data) <= CHAIN_CAPACITY, StatusWord.WRONG_LENGTH)
    unless(protected or row.security is not Security.SECURE_CHANNEL, StatusWord.SECURITY_STATUS)
    return HANDLERS[row.ins](card, Call(command, _objects(row, command.data)))


def _objects(row: Command, data: bytes) -> dict[Tag, bytes]:
    if not row.takes and not row.optional:
        return {}
    try:
        return unpack(data, row.takes, row.optional)
    except FormatError:
        raise Decline(StatusWord.WRONG_DATA) from None
