"""The purse, spoken to: a method for each command, frozen results, nothing cached that the card knows."""

from dataclasses import dataclass
from typing import TypeVar

from apdu import ber
from apdu.command import CommandApdu
from apdu.commands import BY_INS, PIN_REFERENCE, RECORDS_PER_FILE, Ins
from apdu.errors import FormatError, MisbehaviourError, RefusedError
from apdu.identity import AID, CardId, LifeCycle
from apdu.layout import Record
from apdu.messages import (
    UNSETTLED_MAX,
    Attestation,
    BodyT,
    Certificate,
    Credit,
    Head,
    Receipt,
    Refusal,
    Resolution,
    Signed,
    TerminateOrder,
    UnlockOrder,
    Value,
)
from apdu.objects import (
    Capacities,
    Counters,
    CreditUsed,
    HistoryRecord,
    Parameters,
    PurseStatus,
    ReferenceData,
    Request,
    UnsettledEntry,
)
from apdu.payload import Tag, pack, unpack
from apdu.proof import Proof
from apdu.status import StatusError, StatusWord
from host.connection import CardConnection
from host.exchange import exchange

__all__ = ["Answer", "Attested", "Paid", "PurseSession", "Requested", "Selected", "pin_block"]

_NE = 256
_HISTORY_MAX = 1024
RecordT = TypeVar("RecordT", bound=Record)


@dataclass(frozen=True, slots=True)
class Selected:
    """The answer to SELECT; a blank card has no ID."""

    card: CardId | None
    status: PurseStatus


@dataclass(frozen=True, slots=True)
class Requested:
    """The answer to REQUEST: what the payer needs."""

    certificate: Signed[Certificate]
    request: Request


@dataclass(frozen=True, slots=True)
class Paid:
    """The answer to PAY and GIVE AGAIN: what the payee needs."""

    certificate: Signed[Certificate]
    value: Signed[Value]


@dataclass(frozen=True, slots=True)
class Attested:
    """The answer to ATTEST."""

    certificate: Signed[Certificate]
    attestation: Signed[Attestation]


Answer = Signed[Receipt] | Signed[Refusal]
"""The answer to RECEIVE."""


def pin_block(digits: str) -> bytes:
    """PIN or resetting code as the card takes it: 8 bytes; raises FormatError without repeating it."""
    if not (digits.isascii() and digits.isdigit() and 4 <= len(digits) <= 8):
        raise FormatError("a PIN has 4 to 8 digits")
    return digits.encode().ljust(8, b"\xff")


class PurseSession:
    """A selected purse. Every method raises StatusError, MisbehaviourError or a ReaderError."""

    def __init__(self, connection: CardConnection) -> None:
        """Select the purse."""
        self._connection = connection
        self._known: CardId | None = None
        self.selected = self.select()

    def _send(self, ins: Ins, p1: int = 0, p2: int = 0, data: bytes = b"", ne: int | None = None) -> bytes:
        row = BY_INS[ins]
        response = exchange(self._connection, CommandApdu(row.cla, ins, p1, p2, data, ne))
        if response.sw != StatusWord.OK:
            raise StatusError(row.name, response.sw)
        return response.data

    def _objects(self, ins: Ins, sent: dict[Tag, bytes]) -> dict[Tag, bytes]:
        """Send objects, and take the answer's apart as the command table says."""
        row = BY_INS[ins]
        return _unpack(ins, self._send(ins, data=pack(sent), ne=_NE if row.gives else None), row.gives)

    def _data_object(self, number: int, *tags: Tag) -> dict[Tag, bytes]:
        return _unpack(Ins.GET_DATA, self._send(Ins.GET_DATA, number >> 8, number & 0xFF, ne=_NE), tags)

    def select(self) -> Selected:
        """SELECT by name. A locked or terminated card answers too: look at ``status.state``.

        Raises MisbehaviourError also when another card answers than at the first time.
        """
        response = exchange(self._connection, CommandApdu(0x00, Ins.SELECT, 0x04, 0x00, AID, _NE))
        if response.sw not in (StatusWord.OK, StatusWord.SELECTED_LOCKED_OUT, StatusWord.SELECTED_TERMINATED):
            raise StatusError("SELECT", response.sw)
        try:
            objects = unpack(ber.find(response.data, 0x6F, 0xA5), (Tag.STATUS,), (Tag.CARD_ID,))
            card = CardId(objects[Tag.CARD_ID]) if Tag.CARD_ID in objects else None
            status = PurseStatus.decode(objects[Tag.STATUS])
        except (FormatError, ValueError) as error:
            raise MisbehaviourError(f"SELECT: {error}") from None
        if card is None and status.state not in (LifeCycle.BLANK, LifeCycle.PERSONALIZATION):
            raise MisbehaviourError("SELECT: a purse without a card ID")
        if self._known not in (None, card):
            raise MisbehaviourError(f"SELECT: card {self._known} calls itself {card} now")
        self._known = card
        self.selected = Selected(card, status)
        return self.selected

    @property
    def card(self) -> CardId:
        """The ID that SELECT told; raises RefusedError for a card that has none yet."""
        if self.selected.card is None:
            raise RefusedError("the card is blank: personalize it first")
        return self.selected.card

    def get_parameters(self) -> Parameters:
        """GET DATA 0101."""
        return _decode(Parameters, self._data_object(0x0101, Tag.PARAMETERS)[Tag.PARAMETERS])

    def get_counters(self) -> Counters:
        """GET DATA 0102."""
        return _decode(Counters, self._data_object(0x0102, Tag.COUNTERS)[Tag.COUNTERS])

    def get_certificate(self) -> Signed[Certificate]:
        """GET DATA 0103; not verified."""
        return _signed(Certificate, self._data_object(0x0103, Tag.CERTIFICATE)[Tag.CERTIFICATE])

    def get_credit(self) -> tuple[Signed[Credit], CreditUsed]:
        """GET DATA 0104: the credit information, and what was paid since it was stored."""
        objects = self._data_object(0x0104, Tag.CREDIT, Tag.CREDIT_USED)
        return _signed(Credit, objects[Tag.CREDIT]), _decode(CreditUsed, objects[Tag.CREDIT_USED])

    def get_head(self) -> Signed[Head] | None:
        """GET DATA 0105: the newest head that the card carries, if any; not verified."""
        try:
            return _signed(Head, self._data_object(0x0105, Tag.HEAD)[Tag.HEAD])
        except StatusError as error:
            if error.sw == StatusWord.DATA_NOT_FOUND:
                return None
            raise

    def get_unsettled(self) -> list[UnsettledEntry]:
        """GET DATA 0106: transfers that wait for their receipt, oldest first."""
        raw = self._data_object(0x0106, Tag.UNSETTLED)[Tag.UNSETTLED]
        size = UnsettledEntry.SIZE
        if len(raw) > UNSETTLED_MAX * size:
            raise MisbehaviourError(f"GET DATA 0106: more than {UNSETTLED_MAX} unsettled transfers")
        return [_decode(UnsettledEntry, raw[i : i + size]) for i in range(0, len(raw), size)]

    def get_capacities(self) -> Capacities:
        """GET DATA 0107."""
        capacities = _decode(Capacities, self._data_object(0x0107, Tag.CAPACITIES)[Tag.CAPACITIES])
        if capacities.history > _HISTORY_MAX:
            raise MisbehaviourError(f"GET DATA 0107: a history of {capacities.history} records")
        return capacities

    def get_reference_data(self) -> ReferenceData:
        """GET DATA 0108."""
        return _decode(ReferenceData, self._data_object(0x0108, Tag.REFERENCE_DATA)[Tag.REFERENCE_DATA])

    def read_record(self, age: int) -> HistoryRecord:
        """READ RECORD: ``age`` 0 is the newest; StatusError 6A83 when there are not so many."""
        file, record = divmod(age, RECORDS_PER_FILE)
        return _decode(HistoryRecord, self._send(Ins.READ_RECORD, record + 1, (file + 1) << 3 | 4, ne=_NE))

    def history(self, most: int) -> list[HistoryRecord]:
        """The ``most`` newest records, newest first."""
        records: list[HistoryRecord] = []
        for age in range(most):
            try:
                records.append(self.read_record(age))
            except StatusError as error:
                if error.sw != StatusWord.RECORD_NOT_FOUND:
                    raise
                break
        return records

    def verify(self, pin: bytes) -> None:
        """VERIFY the PIN (8 bytes of ``pin_block``); StatusError 63Cx or 6983 when it is wrong."""
        self._send(Ins.VERIFY, 0, PIN_REFERENCE, pin)

    def change_reference_data(self, old: bytes, new: bytes) -> None:
        """CHANGE REFERENCE DATA: replace the PIN."""
        self._send(Ins.CHANGE_REFERENCE_DATA, 0, PIN_REFERENCE, old + new)

    def reset_retry_counter(self, resetting_code: bytes, new: bytes) -> None:
        """RESET RETRY COUNTER: unblock the PIN and replace it."""
        self._send(Ins.RESET_RETRY_COUNTER, 0, PIN_REFERENCE, resetting_code + new)

    def request(self, amount: int, payer: CardId, date: int) -> Requested:
        """REQUEST ``amount`` minor units from ``payer``; ``date`` is the terminal's, in Unix seconds."""
        objects = self._objects(
            Ins.REQUEST, {Tag.AMOUNT: amount.to_bytes(4), Tag.CARD_ID: payer, Tag.DATE: date.to_bytes(4)}
        )
        return Requested(_signed(Certificate, objects[Tag.CERTIFICATE]), _decode(Request, objects[Tag.REQUEST]))

    def pay(self, requested: Requested, date: int) -> Paid:
        """PAY what a payee requested. The money is off the purse when this returns."""
        sent = {Tag.CERTIFICATE: requested.certificate.raw, Tag.REQUEST: requested.request.encode()}
        return _paid(self._objects(Ins.PAY, sent | {Tag.DATE: date.to_bytes(4)}))

    def give_again(self, counter: int) -> Paid:
        """GIVE AGAIN the unsettled value with this counter."""
        return _paid(self._objects(Ins.GIVE_AGAIN, {Tag.COUNTER: counter.to_bytes(4)}))

    def receive(self, paid: Paid, date: int) -> Answer:
        """RECEIVE a value; the answer is a receipt or a refusal, not verified here."""
        sent = {Tag.CERTIFICATE: paid.certificate.raw, Tag.VALUE: paid.value.raw, Tag.DATE: date.to_bytes(4)}
        raw = self._send(Ins.RECEIVE, data=pack(sent), ne=_NE)
        objects = _unpack(Ins.RECEIVE, raw, (), (Tag.RECEIPT, Tag.REFUSAL))
        if Tag.RECEIPT in objects and len(objects) == 1:
            return _signed(Receipt, objects[Tag.RECEIPT])
        if Tag.REFUSAL in objects and len(objects) == 1:
            return _signed(Refusal, objects[Tag.REFUSAL])
        raise MisbehaviourError("RECEIVE: neither a receipt nor a refusal")

    def settle(self, answer: Answer | Signed[Resolution], date: int | None = None) -> None:
        """SETTLE with what the payee answered, or with the center's resolution.

        ``date`` is the terminal's, in Unix seconds, for the record of a refund; a receipt writes none and goes alone.
        """
        tag = {Receipt: Tag.RECEIPT, Refusal: Tag.REFUSAL, Resolution: Tag.RESOLUTION}[type(answer.body)]
        dated = {} if date is None or tag is Tag.RECEIPT else {Tag.DATE: date.to_bytes(4)}
        self._objects(Ins.SETTLE, {tag: answer.raw} | dated)

    def put_credit(self, credit: Signed[Credit]) -> None:
        """PUT CREDIT."""
        self._objects(Ins.PUT_CREDIT, {Tag.CREDIT: credit.raw})

    def attest(self, challenge: bytes) -> Attested:
        """ATTEST under a challenge of 16 bytes."""
        objects = self._objects(Ins.ATTEST, {Tag.CHALLENGE: challenge})
        return Attested(_signed(Certificate, objects[Tag.CERTIFICATE]), _signed(Attestation, objects[Tag.ATTESTATION]))

    def lock_out(self, head: Signed[Head], proof: Proof) -> None:
        """LOCK OUT; at most three short commands."""
        self._objects(Ins.LOCK_OUT, {Tag.HEAD: head.raw, Tag.PROOF: proof.encode()})

    def unlock(self, order: Signed[UnlockOrder]) -> None:
        """UNLOCK."""
        self._objects(Ins.UNLOCK, {Tag.ORDER: order.raw})

    def put_date(self, head: Signed[Head]) -> None:
        """PUT DATE."""
        self._objects(Ins.PUT_DATE, {Tag.HEAD: head.raw})

    def terminate(self, order: Signed[TerminateOrder], date: int) -> None:
        """TERMINATE; ``date`` is the terminal's, in Unix seconds: an order that is out of date ends no life."""
        self._objects(Ins.TERMINATE, {Tag.ORDER: order.raw, Tag.DATE: date.to_bytes(4)})


def _unpack(ins: Ins, raw: bytes, required: tuple[Tag, ...], optional: tuple[Tag, ...] = ()) -> dict[Tag, bytes]:
    try:
        return unpack(raw, required, optional)
    except FormatError as error:
        raise MisbehaviourError(f"{BY_INS[ins].name}: {error}") from None


def _decode(kind: type[RecordT], raw: bytes) -> RecordT:
    try:
        return kind.decode(raw)
    except (FormatError, ValueError) as error:
        raise MisbehaviourError(f"{kind.__name__}: {error}") from None


def _signed(kind: type[BodyT], raw: bytes) -> Signed[BodyT]:
    try:
        return Signed.decode(kind, raw)
    except FormatError as error:
        raise MisbehaviourError(str(error)) from None


def _paid(objects: dict[Tag, bytes]) -> Paid:
    return Paid(_signed(Certificate, objects[Tag.CERTIFICATE]), _signed(Value, objects[Tag.VALUE]))
