"""The float is watched: what it has given is in the center's database before it leaves the center.

Theory of operation. An old copy of the float's image would pay money out a second time, and nothing in it tells its
age. So the database, and with it both witnesses, hold the float's newest state: record number, payments, balance and
hash chain. After each command that moves money the state is taken from the float and written down, and only then does
the answer go out: a value that anybody has was written down before. When the float is opened it must be

- just where the database knows it to be, or
- one record further, with a chain that leads there: a command was cut before its answer left.

A float that is behind is an older copy, and refused. One that is further ahead proves that the database is an older
copy, if the chain leads there; if it does not, the two part ways, and it is refused as well. The float is asked by the
commands that every terminal has, so a card in a reader or a security module could take the model's place.
"""

from dataclasses import replace
from hashlib import sha256

from sqlalchemy.orm import Session

from apdu.command import CHAINING, CommandApdu
from apdu.commands import Ins
from apdu.errors import OutcomeUnknownError, SaifuError, StoreError
from apdu.identity import Role
from apdu.objects import Counters, HistoryRecord
from apdu.payload import Tag, unpack
from apdu.protocol import Protocol
from center.center import Center
from center.models import CardRow, FloatRow
from center.standing import HELP, Finding, float_state, require_current
from center.witness import FloatState
from host.connection import CardConnection, CardSlot, Ejection, TellsProtocol
from host.exchange import exchange
from host.recording import TellsAtr
from host.session import PurseSession

__all__ = ["WatchedConnection", "WatchedSlot", "check_float", "keep_float", "leads", "state_of"]

_MOVING = frozenset({Ins.PAY, Ins.RECEIVE, Ins.SETTLE})
"""Commands that may move money."""
_GET_RESPONSE = 0xC0
_NE = 256
_COUNTERS = CommandApdu(0x00, Ins.GET_DATA, 0x01, 0x02, ne=_NE)
_NEWEST_RECORD = CommandApdu(0x00, Ins.READ_RECORD, 0x01, 1 << 3 | 4, ne=_NE)


def state_of(session: PurseSession) -> FloatState:
    """The state of a float that is selected."""
    counters = session.get_counters()
    return FloatState(
        session.card.serial, counters.record, counters.payments, session.selected.status.balance, counters.chain
    )


def keep_float(center: Center, state: FloatState) -> None:
    """Write the float's state down, in the center's order; raises BehindError, StoreError."""
    with center.ordered() as session:
        session.merge(
            FloatRow(
                id=1,
                serial=state.serial,
                record=state.record,
                payments=state.payments,
                balance=state.balance,
                chain=state.chain,
                replaced_by=None,
            )
        )


def check_float(center: Center, session: PurseSession) -> FloatState:
    """Compare the float with what the database knows of it; returns its state, which is written down then.

    Raises StoreError for an older copy of the float, or another card in its place, and BehindError when the float
    proves that the database is an older copy.
    """
    now = state_of(session)
    with center.session() as database:
        row = database.get(FloatRow, 1)
        if row is not None and row.replaced_by is not None:
            raise StoreError(f"the float is lost, and not replaced yet: saifu center recover --finish ({HELP})")
        known = float_state(database) or _of_the_registry(center, database, now)
    ahead = now.record - known.record
    if (now.serial, ahead, now.chain) == (known.serial, 0, known.chain):
        return now
    if now.serial != known.serial or ahead <= 0 or not leads(session, known, now):
        raise StoreError(
            f"the float's card image is an older copy, or another card: it ends with record {now.record}, and the "
            f"center has heard of {known.record}. Put the newest image back as float.card; if it is lost: "
            f"saifu center recover --lost-float ({HELP})"
        )
    if ahead > 1 and row is not None:
        text = f"the database is an older copy: it knows {known.record} records of the float, which has {now.record}"
        center.keep([Finding("float ahead", text)])
    keep_float(center, now)
    return now


def _of_the_registry(center: Center, database: Session, now: FloatState) -> FloatState:
    """What a center of an earlier version knows: the float's state at its last renewal."""
    card = database.get(CardRow, now.serial)
    if card is None or card.role is not Role.FLOAT.value:
        raise StoreError(f"{center.folder / 'float.card'} is not this center's float")
    return FloatState(card.serial, card.seen, now.payments, card.balance, card.chain)


def leads(session: PurseSession, known: FloatState, now: FloatState) -> bool:
    """Whether the float's own records lead from one chain to the other."""
    ahead = now.record - known.record
    if ahead > session.get_capacities().history:
        return False
    chain = known.chain
    for age in reversed(range(ahead)):
        chain = sha256(chain + session.read_record(age).encode()).digest()
    return chain == now.chain


class WatchedSlot:
    """The slot with the float: it is compared whenever it is powered on, and its every movement is written down."""

    def __init__(self, center: Center, slot: CardSlot) -> None:
        """Watch the float in a slot."""
        self._center, self._slot = center, slot

    @property
    def name(self) -> str:
        """The slot's name for people."""
        return self._slot.name

    @property
    def protocol(self) -> Protocol:
        """The protocol of the float; T=1 where it is not told."""
        return self._slot.protocol if isinstance(self._slot, TellsProtocol) else Protocol.T1

    def connect(self) -> "WatchedConnection":
        """Power the float on, or reset it; raises what ``check_float`` raises, and BehindError."""
        connection = self._slot.connect()
        try:
            with self._center.session() as database:
                require_current(database)
            return WatchedConnection(self._center, connection, check_float(self._center, PurseSession(connection)))
        except BaseException:
            self._slot.close()
            raise

    def eject(self) -> Ejection:
        """Put the float out of its slot."""
        return self._slot.eject()

    def close(self) -> None:
        """Let go of the float."""
        self._slot.close()


class WatchedConnection:
    """The way to the float: the last answer to a command that moves money waits until that is written down."""

    def __init__(self, center: Center, connection: CardConnection, state: FloatState) -> None:
        """``state`` is the one that was written down last."""
        self._center, self._connection, self._state = center, connection, state
        self._moving = False

    @property
    def atr(self) -> bytes:
        """What the float answered to reset; empty where that is not told."""
        return self._connection.atr if isinstance(self._connection, TellsAtr) else b""

    def transmit(self, command: bytes) -> bytes:
        """Send a command; raises OutcomeUnknownError also when a movement could not be written down."""
        answer = self._connection.transmit(command)
        if command[1] != _GET_RESPONSE:
            self._moving = command[1] in _MOVING and not command[0] & CHAINING
        if self._moving and answer[-2:] == b"\x90\x00":
            self._moving = False
            self._write_down()
        return answer

    def _write_down(self) -> None:
        try:
            counters = Counters.decode(
                unpack(exchange(self._connection, _COUNTERS).data, (Tag.COUNTERS,))[Tag.COUNTERS]
            )
            if counters.chain == self._state.chain:
                return
            record = HistoryRecord.decode(exchange(self._connection, _NEWEST_RECORD).data)
            self._state = replace(
                self._state,
                record=counters.record,
                payments=counters.payments,
                balance=record.balance,
                chain=counters.chain,
            )
            keep_float(self._center, self._state)
        except (SaifuError, ValueError) as error:
            raise OutcomeUnknownError(f"the float moved, and that could not be written down: {error}") from error
