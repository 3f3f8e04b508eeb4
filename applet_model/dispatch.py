"""The order of checks, and the way from a row of the command table to its handler.

The order is CLA, INS, secure messaging, chaining, selection, life cycle, P1-P2, Lc, security condition,
objects; only then does a handler judge the business. protocol.md gives it with the status words.
"""

from collections.abc import Callable

from apdu.command import CHAINING, SECURE_MESSAGING, CommandApdu
from apdu.commands import ANY_STATE, BY_INS, Command, Ins, Security
from apdu.errors import FormatError
from apdu.identity import LifeCycle
from apdu.payload import Tag
from apdu.response import ResponseApdu
from apdu.status import StatusWord
from applet_model import attest, credit, history, identification, lock_out, personalization, pin, purse, put_key
from applet_model.card_state import Call, CardState
from applet_model.decline import Decline
from applet_model.payload import unpack

__all__ = ["HANDLERS", "check_header", "execute", "find_row"]

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
    Ins.PUT_KEY: put_key.put_key,
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
_NEVER_SECURED = (Ins.INITIALIZE_UPDATE,)
"""A channel that begins inside of another would want the session keys of both at once."""
_BASE = 0xFF & ~(CHAINING | SECURE_MESSAGING | _CHANNELS)


def find_row(command: CommandApdu) -> Command:
    """CLA, INS: the row, if the instruction is known, and known in this class.

    A class is 00 or 80, with bits for chaining (10) and secure messaging (04); other channels get 6881.
    EXTERNAL AUTHENTICATE has 04 always, INITIALIZE UPDATE never (Amendment D 7.1.1).
    """
    cla = command.cla
    if cla & _BASE not in _CLASSES:
        raise Decline(StatusWord.CLA_NOT_SUPPORTED)
    if cla & _CHANNELS:
        raise Decline(StatusWord.CHANNEL_NOT_SUPPORTED)
    row = BY_INS.get(command.ins)
    if row is None:
        raise Decline(StatusWord.INS_NOT_SUPPORTED)
    if (cla ^ row.cla) & 0x80 or cla & row.cla != row.cla or (cla & SECURE_MESSAGING and row.ins in _NEVER_SECURED):
        raise Decline(StatusWord.CLA_NOT_SUPPORTED)
    return row


def check_header(card: CardState, row: Command, command: CommandApdu) -> None:
    """Selection, life cycle and P1-P2: all that can be judged before the data is complete."""
    if not card.selected and row.ins is not Ins.SELECT:
        raise Decline(StatusWord.CONDITIONS_OF_USE)
    if row.states is not ANY_STATE:
        _check_state(card.life_cycle, row)
    if command.p1 not in row.p1 or command.p2 not in row.p2:
        raise Decline(StatusWord.WRONG_P1_P2)


def _check_state(state: LifeCycle, row: Command) -> None:
    if state not in row.states:
        locked = state is LifeCycle.LOCKED_OUT and LifeCycle.ACTIVE in row.states
        raise Decline(StatusWord.LOCKED_OUT if locked else StatusWord.CONDITIONS_OF_USE)


def execute(card: CardState, row: Command, command: CommandApdu, protected: bool) -> ResponseApdu:
    """Lc, security condition, objects; then the handler."""
    if len(command.data) not in row.lc or len(command.data) > card.cells.chain_capacity:
        raise Decline(StatusWord.WRONG_LENGTH)
    if row.security is Security.SECURE_CHANNEL and not protected:
        raise Decline(StatusWord.SECURITY_STATUS)
    objects = _objects(row, command.data) if row.carries else {}
    return HANDLERS[row.ins](card, Call(command, objects))


def _objects(row: Command, data: bytes) -> dict[Tag, bytes]:
    try:
        return unpack(data, row.takes, row.carries)
    except FormatError:
        raise Decline(StatusWord.WRONG_DATA) from None
