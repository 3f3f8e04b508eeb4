"""The command table: one row a command, in the order of ISO 7816-4, then GlobalPlatform, then the purse.

Dispatch in the card, the tests, the trace and the reference page are all made from it.
"""

from collections.abc import Container
from dataclasses import dataclass
from enum import IntEnum

from apdu.identity import LifeCycle
from apdu.payload import Tag
from apdu.status import StatusWord as W

__all__ = [
    "ANY_STATE",
    "BY_INS",
    "CHAIN_CAPACITY",
    "COMMANDS",
    "DATA_OBJECTS",
    "GENERAL_STATUS",
    "PIN_REFERENCE",
    "RECORDS_PER_FILE",
    "SECRET_INS",
    "SECURITY_LEVELS",
    "Command",
    "DataObject",
    "Ins",
    "Security",
]

CHAIN_CAPACITY = 1024
"""Bytes of command data that a card of the model collects from a chain, or takes in an extended command, unless it is
made with another capacity."""
PIN_REFERENCE = 0x81
"""P2 of the PIN: specific reference data number 1 (ISO 7816-4 table 81)."""
RECORDS_PER_FILE = 254
"""Record numbers 1 to 254 of ISO 7816-4: older records are in the next short file identifier."""
SECURITY_LEVELS = (0x01, 0x03, 0x11, 0x13, 0x33)
"""Security levels of SCP03 (Amendment D, 7.1.2.1): C-MAC 01, C-ENC 02, R-MAC 10, R-ENC 20."""


class Ins(IntEnum):
    """Instruction bytes."""

    SELECT = 0xA4
    VERIFY = 0x20
    CHANGE_REFERENCE_DATA = 0x24
    RESET_RETRY_COUNTER = 0x2C
    READ_RECORD = 0xB2
    GET_RESPONSE = 0xC0
    GET_DATA = 0xCA
    GENERATE_KEY_PAIR = 0x46
    INITIALIZE_UPDATE = 0x50
    EXTERNAL_AUTHENTICATE = 0x82
    PUT_KEY = 0xD8
    STORE_DATA = 0xE2
    REQUEST = 0x30
    PAY = 0x32
    RECEIVE = 0x34
    SETTLE = 0x36
    GIVE_AGAIN = 0x38
    PUT_CREDIT = 0x3A
    ATTEST = 0x3C
    LOCK_OUT = 0x3E
    UNLOCK = 0x48
    PUT_DATE = 0x4A
    TERMINATE = 0x4C


class Security(IntEnum):
    """What must have happened before, in this session."""

    NONE = 0
    SECURE_CHANNEL = 1
    PIN_ABOVE_LIMIT = 2

    @property
    def text(self) -> str:
        """The condition in words."""
        return ("none", "secure channel (SCP03)", "PIN, above the purse's amount or sum")[self]


@dataclass(frozen=True, slots=True)
class Command:
    """One row: ``p1``, ``p2``, ``lc`` are what dispatch lets pass; ``status`` adds to GENERAL_STATUS.

    The data have every object of ``takes``, one of ``one_of`` if there are any, and any of ``optional``.
    ``secret``: the data are a PIN or a resetting code, which no trace keeps.
    """

    ins: Ins
    cla: int
    p1: Container[int]
    p2: Container[int]
    lc: Container[int]
    states: frozenset[LifeCycle]
    clause: str
    summary: str
    p1p2_text: str = "00 00"
    lc_text: str = "objects"
    security: Security = Security.NONE
    chaining: bool = False
    takes: tuple[Tag, ...] = ()
    optional: tuple[Tag, ...] = ()
    one_of: tuple[Tag, ...] = ()
    gives: tuple[Tag, ...] = ()
    status: tuple[W, ...] = ()
    secret: bool = False

    @property
    def name(self) -> str:
        """The command's name as the standards write it: ``PUT CREDIT``."""
        return self.ins.name.replace("_", " ")

    @property
    def carries(self) -> tuple[Tag, ...]:
        """Every payload object that its data may have."""
        return self.takes + self.one_of + self.optional


GENERAL_STATUS = (
    W.OK,
    W.WRONG_LENGTH,
    W.CHANNEL_NOT_SUPPORTED,
    W.SECURE_MESSAGING_NOT_SUPPORTED,
    W.LAST_OF_CHAIN_EXPECTED,
    W.CHAINING_NOT_SUPPORTED,
    W.SECURITY_STATUS,
    W.CONDITIONS_OF_USE,
    W.SECURE_MESSAGING_DATA,
    W.WRONG_P1_P2,
    W.INS_NOT_SUPPORTED,
    W.CLA_NOT_SUPPORTED,
)
"""Words that the order of checks can give for any command, before its handler runs."""

_S = LifeCycle
ANY_STATE = frozenset(LifeCycle)
_ISSUED = frozenset((_S.ACTIVE, _S.LOCKED_OUT))
_OPEN = frozenset((_S.BLANK, _S.PERSONALIZATION))
_ACTIVE = frozenset((_S.ACTIVE,))
_ZERO, _NO_DATA, _ANY = (0,), (0,), range(256)
_OBJECTS, _CHAINED = range(1, 256), range(1, 0x10000)  # what a chain may carry in all is a capacity of the card
_PIN_P1P2, _16 = f"00 {PIN_REFERENCE:02X}", (16,)
_RECORD_P2 = tuple(sfi << 3 | 4 for sfi in range(1, 6))
_CERTIFIED = (W.CERTIFICATE_INVALID, W.CERTIFICATE_EXPIRED)
_ORDERED = (W.WRONG_DATA, W.SIGNATURE_INVALID, W.NOT_THIS_CARD)
_CREDITED = (W.CREDIT_EXPIRED, W.TRANSFER_LIMIT, W.HISTORY_FULL, W.COUNTER_EXHAUSTED)

COMMANDS: tuple[Command, ...] = (
    Command(
        Ins.VERIFY, 0x00, _ZERO, (PIN_REFERENCE,), (0, 8), _ACTIVE, "ISO 7816-4 11.6.6",
        "Compares the PIN; without data tells whether it is verified, or how many tries are left.",
        _PIN_P1P2, "0, or 8: digits in ASCII, then FF", status=(W.BLOCKED,), secret=True,
    ),
    Command(
        Ins.CHANGE_REFERENCE_DATA, 0x00, _ZERO, (PIN_REFERENCE,), _16, _ACTIVE, "ISO 7816-4 11.6.7",
        "Replaces the PIN: old PIN (8), new PIN (8).",
        _PIN_P1P2, "16", status=(W.BLOCKED, W.WRONG_DATA), secret=True,
    ),
    Command(
        Ins.RESET_RETRY_COUNTER, 0x00, _ZERO, (PIN_REFERENCE,), _16, _ACTIVE, "ISO 7816-4 11.6.10",
        "Gives a blocked PIN its tries back: resetting code (8), new PIN (8).",
        _PIN_P1P2, "16", status=(W.BLOCKED, W.WRONG_DATA), secret=True,
    ),
    Command(
        Ins.GENERATE_KEY_PAIR, 0x80, (0x80, 0x81), _ZERO, _NO_DATA, _OPEN, "ISO 7816-8 5.1",
        "Makes the card's own key pair (P1 80) or reads its public key (P1 81), as 7F49 {86 04 X Y}.",
        "80 or 81, 00", "none", Security.SECURE_CHANNEL, status=(W.DATA_NOT_FOUND,),
    ),
    Command(
        Ins.SELECT, 0x00, (0x04,), (0x00, 0x0C), (0, *range(5, 17)), ANY_STATE, "ISO 7816-4 11.2.2",
        "Selects the purse by name and answers with its FCI (P2 0C: without).",
        "04, 00 or 0C", "5 to 16: the name; none for the default application",
        status=(W.NOT_FOUND, W.SELECTED_LOCKED_OUT, W.SELECTED_TERMINATED),
    ),
    Command(
        Ins.READ_RECORD, 0x00, range(1, RECORDS_PER_FILE + 1), _RECORD_P2, _NO_DATA, _ISSUED,
        "ISO 7816-4 11.4.3; patent [0018], S205",
        "Reads one history record: P1 1 is the newest of file 1, file 2 goes on with the 255th.",
        "01 to FE, (file << 3) + 4, files 1 to 5", "none", status=(W.RECORD_NOT_FOUND,),
    ),
    Command(
        Ins.GET_RESPONSE, 0x00, _ZERO, _ZERO, _NO_DATA, ANY_STATE, "ISO 7816-4 11.8.1",
        "Fetches the rest of an answer that 61xx announced.", lc_text="none",
    ),
    Command(
        Ins.GET_DATA, 0x00, _ANY, _ANY, _NO_DATA, ANY_STATE, "ISO 7816-4 11.5.3",
        "Reads a data object.", "number of the object, see below", "none", status=(W.DATA_NOT_FOUND,),
    ),
    Command(
        Ins.INITIALIZE_UPDATE, 0x80, _ANY, _ZERO, (8,), _OPEN, "GP Amendment D 7.1.1",
        "Begins a secure channel: host challenge in, key information, card challenge and cryptogram out.",
        "key version or 00, 00", "8", status=(W.DATA_NOT_FOUND, W.BLOCKED),
    ),
    Command(
        Ins.EXTERNAL_AUTHENTICATE, 0x84, SECURITY_LEVELS, _ZERO, _16, _OPEN, "GP Amendment D 7.1.2",
        "Opens the secure channel at security level P1: host cryptogram (8) and MAC (8).",
        "01, 03, 11, 13 or 33, 00", "16", status=(W.BLOCKED,),
    ),
    Command(
        Ins.PUT_KEY, 0x80, range(0x80), (0x81,), _OBJECTS, _OPEN, "GP Card Specification 11.8, Amendment D 7.2",
        "Replaces the three keys of the secure channel, and their version.",
        "version to replace, or 00; 81", "new version, three key blocks", Security.SECURE_CHANNEL,
        status=(W.WRONG_DATA, W.DATA_NOT_FOUND, W.KEY_CHECK_VALUE),
    ),
    Command(
        Ins.STORE_DATA, 0x80, (0x08, 0x68, 0x88, 0xE8), _ANY, _OBJECTS, _OPEN, "GP Card Specification 11.11",
        "Stores DGIs; P1 bit 8 says the last block, bits 7 and 6 that values are encrypted with the DEK.",
        "08, 68, 88 or E8, block number", "DGIs", Security.SECURE_CHANNEL,
        status=(W.WRONG_DATA, W.CERTIFICATE_INVALID, W.SIGNATURE_INVALID, W.NOT_THIS_CARD),
    ),
    Command(
        Ins.REQUEST, 0x80, _ZERO, _ZERO, _OBJECTS, _ACTIVE, "design: payee, step 1; patent [0017]",
        "Opens request n for one amount from one payer, with a fresh nonce; gives up an older one.",
        takes=(Tag.AMOUNT, Tag.CARD_ID), optional=(Tag.DATE,), gives=(Tag.CERTIFICATE, Tag.REQUEST),
        status=(W.WRONG_DATA, W.NOT_THIS_CARD, W.BALANCE_LIMIT, *_CREDITED),
    ),
    Command(
        Ins.PAY, 0x80, _ZERO, _ZERO, _OBJECTS, _ACTIVE, "design: payer, step 2; patent S107, S310",
        "Takes the amount off, keeps the transfer as unsettled and signs the value.",
        security=Security.PIN_ABOVE_LIMIT,
        takes=(Tag.CERTIFICATE, Tag.REQUEST), optional=(Tag.DATE,), gives=(Tag.CERTIFICATE, Tag.VALUE),
        status=(
            W.WRONG_DATA, W.NOT_THIS_CARD, W.CURRENCY, *_CERTIFIED, W.INSUFFICIENT_MONEY, W.CREDIT_LIMIT,
            W.UNSETTLED_FULL, *_CREDITED,
        ),
    ),
    Command(
        Ins.RECEIVE, 0x80, _ZERO, _ZERO, _OBJECTS, _ACTIVE, "design: payee, step 3; patent [0017] S107",
        "Credits the value of the open request and signs a receipt, or signs a refusal for ever.",
        takes=(Tag.CERTIFICATE, Tag.VALUE), optional=(Tag.DATE,), gives=(Tag.RECEIPT, Tag.REFUSAL),
        status=(
            W.WRONG_DATA, W.CERTIFICATE_INVALID, W.SIGNATURE_INVALID, W.NOT_THIS_CARD, W.BEYOND_HISTORY,
            W.SAME_COUNTER,
        ),
    ),
    Command(
        Ins.SETTLE, 0x80, _ZERO, _ZERO, _OBJECTS, _ACTIVE, "design: payer, step 4",
        "Ends an unsettled transfer: a receipt settles, a refusal refunds, a resolution does either.",
        one_of=(Tag.RECEIPT, Tag.REFUSAL, Tag.RESOLUTION), optional=(Tag.DATE,),
        status=(W.WRONG_DATA, W.SIGNATURE_INVALID, W.NOT_THIS_CARD, W.DATA_NOT_FOUND),
    ),
    Command(
        Ins.GIVE_AGAIN, 0x80, _ZERO, _ZERO, _OBJECTS, _ACTIVE, "design: resume",
        "Gives the value of an unsettled transfer again; nothing changes.",
        takes=(Tag.COUNTER,), gives=(Tag.CERTIFICATE, Tag.VALUE), status=(W.WRONG_DATA, W.DATA_NOT_FOUND),
    ),
    Command(
        Ins.PUT_CREDIT, 0x80, _ZERO, _ZERO, _OBJECTS, _ACTIVE, "patent [0030], store 37; claims 9-13",
        "Stores credit information with a higher serial.",
        takes=(Tag.CREDIT,), status=(*_ORDERED, W.OLDER),
    ),
    Command(
        Ins.ATTEST, 0x80, _ZERO, _ZERO, _OBJECTS, _ISSUED, "design: renewal; patent [0033]",
        "Signs the card's state under a challenge.",
        takes=(Tag.CHALLENGE,), gives=(Tag.CERTIFICATE, Tag.ATTESTATION), status=(W.WRONG_DATA,),
    ),
    Command(
        Ins.LOCK_OUT, 0x80, _ZERO, _ZERO, _CHAINED, _ISSUED,
        "design: lock-out; patent [0016] S108, S206, S308",
        "Locks the card out, when the proof shows that the signed list has this card.",
        chaining=True, takes=(Tag.HEAD, Tag.PROOF), status=(*_ORDERED, W.OLDER, W.NOT_LISTED),
    ),
    Command(
        Ins.UNLOCK, 0x80, _ZERO, _ZERO, _OBJECTS, frozenset((_S.LOCKED_OUT,)), "design: lock-out",
        "Unlocks the card; editions below the order's are refused from then on.",
        takes=(Tag.ORDER,), status=(*_ORDERED, W.OLDER),
    ),
    Command(
        Ins.PUT_DATE, 0x80, _ZERO, _ZERO, _OBJECTS, _ISSUED, "design: the card's date",
        "Moves the date and the edition forward from a signed head, and keeps the head.",
        takes=(Tag.HEAD,), status=(*_ORDERED, W.OLDER),
    ),
    Command(
        Ins.TERMINATE, 0x80, _ZERO, _ZERO, _OBJECTS, _ISSUED, "design: life cycle",
        "Ends the card's life.", takes=(Tag.ORDER,), optional=(Tag.DATE,), status=(*_ORDERED, W.ORDER_EXPIRED),
    ),
)  # fmt: skip
"""The table."""

BY_INS: dict[int, Command] = {int(row.ins): row for row in COMMANDS}
"""Rows by instruction byte; no two rows share one."""

SECRET_INS = frozenset(row.ins for row in COMMANDS if row.secret)
"""Instructions whose data are a PIN or a resetting code."""


@dataclass(frozen=True, slots=True)
class DataObject:
    """An object of GET DATA: P1-P2, what it is, and the payload objects that its answer has."""

    number: int
    name: str
    gives: tuple[Tag, ...]
    states: frozenset[LifeCycle] = _ISSUED | {LifeCycle.TERMINATED}


DATA_OBJECTS: tuple[DataObject, ...] = (
    DataObject(0x0100, "status", (Tag.CARD_ID, Tag.STATUS), ANY_STATE),
    DataObject(0x0101, "parameters", (Tag.PARAMETERS,)),
    DataObject(0x0102, "counters", (Tag.COUNTERS,)),
    DataObject(0x0103, "certificate", (Tag.CERTIFICATE,)),
    DataObject(0x0104, "credit", (Tag.CREDIT, Tag.CREDIT_USED)),
    DataObject(0x0105, "head", (Tag.HEAD,)),
    DataObject(0x0106, "unsettled transfers", (Tag.UNSETTLED,)),
    DataObject(0x0107, "capacities", (Tag.CAPACITIES,), ANY_STATE),
    DataObject(0x0108, "reference data", (Tag.REFERENCE_DATA,)),
)
"""The objects of GET DATA; 0105 is absent until the card has seen a head. A blank card has no card ID."""
