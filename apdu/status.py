"""Status words: those of ISO 7816-4 clause 5.6 that the card uses, and the purse's own.

The purse's own words are 95xx: ISO 7816-4 leaves 9xxx other than 9000 to the application, and no
decoder reads 95xx as something else (9400 and 9840 are read as GSM). 9485 is GlobalPlatform's (11.8.3.2).
"""

from enum import IntEnum

from apdu.counting import counted
from apdu.errors import CardError

__all__ = ["STATUS_TEXT", "StatusError", "StatusWord", "status_text", "tries_left"]


class StatusWord(IntEnum):
    """Every status word that the card of protocol.md sends, except 61xx, 63Cx and 6Cxx."""

    OK = 0x9000
    SELECTED_LOCKED_OUT = 0x6283
    SELECTED_TERMINATED = 0x6285
    WRONG_LENGTH = 0x6700
    CHANNEL_NOT_SUPPORTED = 0x6881
    SECURE_MESSAGING_NOT_SUPPORTED = 0x6882
    LAST_OF_CHAIN_EXPECTED = 0x6883
    CHAINING_NOT_SUPPORTED = 0x6884
    SECURITY_STATUS = 0x6982
    BLOCKED = 0x6983
    CONDITIONS_OF_USE = 0x6985
    SECURE_MESSAGING_DATA = 0x6988
    WRONG_DATA = 0x6A80
    NOT_FOUND = 0x6A82
    RECORD_NOT_FOUND = 0x6A83
    WRONG_P1_P2 = 0x6A86
    DATA_NOT_FOUND = 0x6A88
    INS_NOT_SUPPORTED = 0x6D00
    CLA_NOT_SUPPORTED = 0x6E00
    KEY_CHECK_VALUE = 0x9485
    LOCKED_OUT = 0x9501
    CREDIT_EXPIRED = 0x9502
    CREDIT_LIMIT = 0x9503
    INSUFFICIENT_MONEY = 0x9504
    BALANCE_LIMIT = 0x9505
    TRANSFER_LIMIT = 0x9506
    HISTORY_FULL = 0x9507
    UNSETTLED_FULL = 0x9508
    CERTIFICATE_INVALID = 0x9509
    CERTIFICATE_EXPIRED = 0x950A
    SIGNATURE_INVALID = 0x950B
    NOT_THIS_CARD = 0x950C
    OLDER = 0x950D
    NOT_LISTED = 0x950E
    BEYOND_HISTORY = 0x950F
    CURRENCY = 0x9510
    COUNTER_EXHAUSTED = 0x9511
    SAME_COUNTER = 0x9512
    ORDER_EXPIRED = 0x9513


_W = StatusWord
STATUS_TEXT: dict[int, str] = {
    _W.OK: "done",
    _W.SELECTED_LOCKED_OUT: "selected; the card is locked out (ISO: deactivated)",
    _W.SELECTED_TERMINATED: "selected; the card is terminated",
    _W.WRONG_LENGTH: "wrong length: Lc or Le is not what the command takes",
    _W.CHANNEL_NOT_SUPPORTED: "logical channels are not supported",
    _W.SECURE_MESSAGING_NOT_SUPPORTED: "secure messaging is not supported here, or no channel is open",
    _W.LAST_OF_CHAIN_EXPECTED: "another command came in the middle of a chain",
    _W.CHAINING_NOT_SUPPORTED: "this command takes no chain",
    _W.SECURITY_STATUS: "security status: PIN or secure channel wanted, or a cryptogram is wrong",
    _W.BLOCKED: "blocked: no tries are left",
    _W.CONDITIONS_OF_USE: "conditions of use not satisfied: not selected, or not in this life-cycle state",
    _W.SECURE_MESSAGING_DATA: "the MAC or padding of secure messaging is wrong",
    _W.WRONG_DATA: "wrong data: an object is missing, unknown, twice there or out of range",
    _W.NOT_FOUND: "no application of this name",
    _W.RECORD_NOT_FOUND: "the history has no such record",
    _W.WRONG_P1_P2: "wrong P1 or P2",
    _W.DATA_NOT_FOUND: "there is no such data",
    _W.INS_NOT_SUPPORTED: "unknown instruction",
    _W.CLA_NOT_SUPPORTED: "unknown class",
    _W.KEY_CHECK_VALUE: "a key check value is not that of the key",
    _W.LOCKED_OUT: "the card is locked out: it moves no money until the center unlocks it",
    _W.CREDIT_EXPIRED: "the credit information is missing or out of date: renew it",
    _W.CREDIT_LIMIT: "the credit's number or amount of payments is used up: renew it",
    _W.INSUFFICIENT_MONEY: "too little money",
    _W.BALANCE_LIMIT: "more than this purse may hold",
    _W.TRANSFER_LIMIT: "the amount is more than this purse moves at once (card show tells its limits), or nothing",
    _W.HISTORY_FULL: "the history is full of records that the center has not seen: upload it",
    _W.UNSETTLED_FULL: "too many unsettled transfers: finish them first",
    _W.CERTIFICATE_INVALID: "the other card's certificate does not verify",
    _W.CERTIFICATE_EXPIRED: "a certificate is out of date",
    _W.SIGNATURE_INVALID: "a signature does not verify, or its key is not known",
    _W.NOT_THIS_CARD: "this is for another card",
    _W.OLDER: "older than what the card has already seen",
    _W.NOT_LISTED: "the proof does not show that this card is listed",
    _W.BEYOND_HISTORY: "the request is older than the history: the center resolves it",
    _W.CURRENCY: "another currency",
    _W.COUNTER_EXHAUSTED: "a counter has reached its end",
    _W.SAME_COUNTER: "another value with this payer's counter was received before",
    _W.ORDER_EXPIRED: "the order is out of date: ask the center for another",
}
"""What each word means, for people; one text for the card's reference page and the host's errors."""


def tries_left(sw: int) -> int | None:
    """Return the tries that a 63Cx word leaves, or None for any other word."""
    return sw & 0x0F if sw & 0xFFF0 == 0x63C0 else None


def status_text(sw: int) -> str:
    """Say in words what a status word means; an unknown one stays visible as such."""
    if sw in STATUS_TEXT:
        return STATUS_TEXT[sw]
    if (left := tries_left(sw)) is not None:
        return f"wrong; {counted(left, 'try', 'tries')} left"
    if sw >> 8 == 0x61:
        return f"{sw & 0xFF or 256} more bytes to fetch with GET RESPONSE"
    if sw >> 8 == 0x6C:
        return f"wrong Le: exactly {sw & 0xFF or 256} bytes"
    return "unknown status word"


class StatusError(CardError):
    """The card answered with a word that stops the operation; ``sw`` keeps it, known or not."""

    def __init__(self, command: str, sw: int) -> None:
        """``command`` is the name of the command, for the text."""
        super().__init__(f"{command}: {status_text(sw)} ({sw:04X})")
        self.command = command
        self.sw = sw

    @property
    def word(self) -> StatusWord | None:
        """The word as a member of StatusWord, or None when it is not one of ours."""
        return StatusWord(self.sw) if self.sw in STATUS_TEXT else None
