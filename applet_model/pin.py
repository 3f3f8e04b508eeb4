"""The PIN and its resetting code: VERIFY, CHANGE REFERENCE DATA, RESET RETRY COUNTER (ISO 7816-4 11.6).

A try is taken off, in a transaction of its own, before anything is compared: a cut cannot give it back.
"""

from hmac import compare_digest

from apdu.response import ResponseApdu
from apdu.status import StatusWord
from applet_model.card_state import Call, CardState
from applet_model.decline import Decline, unless
from applet_model.memory import Cell, NumberCell

__all__ = ["change_reference_data", "reset_retry_counter", "verify"]

_SIZE = 8
_DIGITS = b"0123456789"


def is_pin(block: bytes) -> bool:
    """Whether 8 bytes are 4 to 8 digits in ASCII, then FF."""
    digits = block.rstrip(b"\xff")
    return len(block) == _SIZE and len(digits) >= 4 and all(digit in _DIGITS for digit in digits)


def _compare(card: CardState, given: bytes, secret: Cell, tries: NumberCell, most: int) -> None:
    """Decline with 6983 or 63Cx unless ``given`` is the secret; success gives all tries back."""
    left = tries.number()
    unless(left > 0, StatusWord.BLOCKED)
    with card.cells.memory.transaction() as tx:
        tx.put(tries, left - 1)
    if not compare_digest(given, secret.get()):
        raise Decline(StatusWord.BLOCKED if left == 1 else 0x63C0 | left - 1)
    with card.cells.memory.transaction() as tx:
        tx.put(tries, most)


def _compare_pin(card: CardState, given: bytes) -> None:
    card.session.pin_verified = False
    _compare(card, given, card.cells.pin, card.cells.pin_tries, card.parameters.pin_tries)
    card.session.pin_verified = True


def verify(card: CardState, call: Call) -> ResponseApdu:
    """VERIFY; without data it tells the state and takes no try off."""
    if call.command.data:
        _compare_pin(card, call.command.data)
    elif not card.session.pin_verified:
        left = card.cells.pin_tries.number()
        raise Decline(0x63C0 | left if left else StatusWord.BLOCKED)
    return ResponseApdu()


def change_reference_data(card: CardState, call: Call) -> ResponseApdu:
    """CHANGE REFERENCE DATA: the old PIN must be right, the new one must be digits."""
    old, new = call.command.data[:_SIZE], call.command.data[_SIZE:]
    unless(is_pin(new), StatusWord.WRONG_DATA)
    _compare_pin(card, old)
    with card.cells.memory.transaction() as tx:
        tx.put(card.cells.pin, new)
    return ResponseApdu()


def reset_retry_counter(card: CardState, call: Call) -> ResponseApdu:
    """RESET RETRY COUNTER: the resetting code must be right; the PIN is replaced, not verified."""
    code, new, cells = call.command.data[:_SIZE], call.command.data[_SIZE:], card.cells
    unless(is_pin(new), StatusWord.WRONG_DATA)
    _compare(card, code, cells.puk, cells.puk_tries, card.parameters.puk_tries)
    with cells.memory.transaction() as tx:
        tx.put(cells.pin, new)
        tx.put(cells.pin_tries, card.parameters.pin_tries)
    return ResponseApdu()
