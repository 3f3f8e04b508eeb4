"""Cases on PIN and resetting code: tries, blocking and unblocking, and what counts as verified when.

Each case ends with the PIN and all tries as they were; where the resetting code would be blocked for ever, a spare
card is taken.
"""

from apdu.commands import PIN_REFERENCE, Ins
from apdu.objects import ReferenceData
from apdu.payload import Tag, unpack
from apdu.status import StatusWord as W
from host.session import pin_block
from saifu.conformance.case import case
from saifu.conformance.harmless import in_states
from saifu.conformance.issuer import PIN, PUK
from saifu.conformance.stand import Stand
from saifu.conformance.subject import must

__all__: list[str] = []

_WRONG, _NEW = pin_block("0000"), pin_block("987654")
_NO_PINS = (
    b"123\xff\xff\xff\xff\xff", b"12a4\xff\xff\xff\xff", b"1234\xff5\xff\xff", b"1234\0\0\0\0", b"1234567:",
    b"/2345678", b"\xff1234\xff\xff\xff", bytes(8), b"\xff" * 8, bytes(range(1, 9)),
)  # fmt: skip
"""Blocks that are not 4 to 8 digits and FF."""


def _tries(stand: Stand) -> int:
    return stand.parameters.pin_tries


def _code_tries(stand: Stand) -> int:
    return stand.parameters.puk_tries


def _left(tries: int) -> int:
    """What a comparison that fails answers when so many tries are left."""
    return 0x63C0 | tries if tries else W.BLOCKED


def _is_unverified(stand: Stand, tries: int | None = None) -> None:
    stand.verify(b"", _left(_tries(stand) if tries is None else tries))


def _is_verified(stand: Stand) -> None:
    stand.verify(b"")


def _told(stand: Stand, pin: int, code: int, verified: bool) -> None:
    """What GET DATA 0108 tells."""
    raw = unpack(stand.card.send(Ins.GET_DATA, p1=1, p2=8), (Tag.REFERENCE_DATA,))[Tag.REFERENCE_DATA]
    told, wanted = ReferenceData.decode(raw), ReferenceData(pin, code, int(verified))
    must(told == wanted, f"GET DATA 0108 tells {told}, not {wanted}")


def _change(stand: Stand, old: bytes, new: bytes, sw: int = W.OK) -> None:
    stand.card.send(Ins.CHANGE_REFERENCE_DATA, old + new, sw, p2=PIN_REFERENCE, ne=None)


def _reset(stand: Stand, code: bytes = PUK, new: bytes = PIN, sw: int = W.OK) -> None:
    stand.card.send(Ins.RESET_RETRY_COUNTER, code + new, sw, p2=PIN_REFERENCE, ne=None)


def _block(stand: Stand) -> None:
    """Use up all tries of the PIN."""
    for left in reversed(range(_tries(stand))):
        stand.verify(_WRONG, _left(left))


# --- VERIFY ------------------------------------------------------------------------------------------------------


@in_states("VERIFY", "without data it tells the state and takes no try", ins=Ins.VERIFY)
def _asking(stand: Stand) -> None:
    for _ in range(_tries(stand) + 1):
        _is_unverified(stand)
    _told(stand, _tries(stand), _code_tries(stand), verified=False)
    stand.verify()
    _is_verified(stand)
    _told(stand, _tries(stand), _code_tries(stand), verified=True)


@in_states("VERIFY 1", "a wrong PIN takes back that the PIN was verified", ins=Ins.VERIFY)
def _wrong_takes_back(stand: Stand) -> None:
    stand.verify()
    stand.verify(_WRONG, _left(_tries(stand) - 1))
    _is_unverified(stand, _tries(stand) - 1)
    _told(stand, _tries(stand) - 1, _code_tries(stand), verified=False)
    stand.verify()


@in_states("VERIFY 2", "without tries the right PIN is declined too, also after a reset", ins=Ins.VERIFY)
def _blocked(stand: Stand) -> None:
    _block(stand)
    for _ in range(2):
        stand.verify(sw=W.BLOCKED)
        stand.verify(_WRONG, W.BLOCKED)
        _is_unverified(stand, 0)
        _told(stand, 0, _code_tries(stand), verified=False)
        stand.card.fresh()
    _reset(stand)
    stand.verify()


@in_states("VERIFY 3", "a try that was taken stays taken through reset and SELECT", ins=Ins.VERIFY)
def _tries_survive(stand: Stand) -> None:
    stand.verify(_WRONG, _left(_tries(stand) - 1))
    stand.card.fresh()
    _is_unverified(stand, _tries(stand) - 1)
    stand.card.select()
    stand.verify(_WRONG, _left(_tries(stand) - 2))
    _told(stand, _tries(stand) - 2, _code_tries(stand), verified=False)
    stand.verify()


@in_states("VERIFY 4", "the right PIN gives all tries back", ins=Ins.VERIFY)
def _right_gives_back(stand: Stand) -> None:
    for _ in range(2):
        for left in range(_tries(stand) - 1, 0, -1):
            stand.verify(_WRONG, _left(left))
        stand.verify()
        _told(stand, _tries(stand), _code_tries(stand), verified=True)


@in_states("VERIFY 4", "the PIN is its whole block", ins=Ins.VERIFY)
def _whole_block(stand: Stand) -> None:
    short = PIN.rstrip(b"\xff")
    near = (PIN[:-1] + b"\0", short.ljust(8, b"\0"), short.ljust(8, b"0"), short.ljust(8), b"\xff" * 8, PIN[::-1])
    for block in (*near, bytes((PIN[0] ^ 0x01,)) + PIN[1:], PIN[:3] + b"5" + PIN[4:], short[:3].ljust(8, b"\xff")):
        stand.verify(block, _left(_tries(stand) - 1))
        stand.verify()


@in_states("VERIFY 4", "a length that no PIN has costs no try and takes nothing back", ins=Ins.VERIFY)
def _other_lengths(stand: Stand) -> None:
    stand.verify()
    for size in (1, 4, 7, 9, 16):
        stand.verify(bytes(size), W.WRONG_LENGTH)
    _is_verified(stand)


@in_states("VERIFY", "the PIN stays verified through other commands, done and declined", ins=Ins.VERIFY)
def _stays_verified(stand: Stand) -> None:
    stand.ready(0)
    stand.verify()
    stand.card.send(Ins.GET_DATA, p1=1, p2=0)
    stand.card.send(Ins.PAY, b"\0", W.WRONG_DATA)
    stand.card.send(Ins.VERIFY, sw=W.WRONG_P1_P2, p2=0x80)
    stand.give(1)
    _is_verified(stand)


# --- CHANGE REFERENCE DATA -----------------------------------------------------------------------------------------


@in_states(
    "CHANGE REFERENCE DATA 1",
    "a new PIN that is none is declined before the old one is compared",
    ins=Ins.CHANGE_REFERENCE_DATA,
)
def _no_new_pin(stand: Stand) -> None:
    for block in _NO_PINS:
        _change(stand, _WRONG, block, W.WRONG_DATA)
    _change(stand, PIN, _NO_PINS[0], W.WRONG_DATA)
    _told(stand, _tries(stand), _code_tries(stand), verified=False)
    stand.verify()
    _change(stand, PIN, _NO_PINS[0], W.WRONG_DATA)
    _is_verified(stand)


@in_states(
    "CHANGE REFERENCE DATA 1",
    "without tries too, a new PIN that is none is declined as such",
    ins=Ins.CHANGE_REFERENCE_DATA,
)
def _no_new_pin_blocked(stand: Stand) -> None:
    _block(stand)
    _change(stand, PIN, _NO_PINS[0], W.WRONG_DATA)
    _change(stand, PIN, _NEW, W.BLOCKED)
    _reset(stand)


@in_states(
    "CHANGE REFERENCE DATA 2",
    "a wrong old PIN costs a try, takes verification back and changes nothing",
    ins=Ins.CHANGE_REFERENCE_DATA,
)
def _wrong_old(stand: Stand) -> None:
    stand.verify()
    _change(stand, _WRONG, _NEW, _left(_tries(stand) - 1))
    _is_unverified(stand, _tries(stand) - 1)
    stand.verify()
    _told(stand, _tries(stand), _code_tries(stand), verified=True)


@in_states("CHANGE REFERENCE DATA 2", "it shares its tries with VERIFY, to the last", ins=Ins.CHANGE_REFERENCE_DATA)
def _shared_tries(stand: Stand) -> None:
    for left in reversed(range(_tries(stand))):
        if left % 2:
            stand.verify(_WRONG, _left(left))
        else:
            _change(stand, _WRONG, _NEW, _left(left))
    _change(stand, PIN, _NEW, W.BLOCKED)
    stand.verify(sw=W.BLOCKED)
    _reset(stand)
    stand.verify()


@in_states(
    "CHANGE REFERENCE DATA", "the new PIN takes the old one's place, and is verified", ins=Ins.CHANGE_REFERENCE_DATA
)
def _changed(stand: Stand) -> None:
    stand.verify(_WRONG, _left(_tries(stand) - 1))
    _change(stand, PIN, _NEW)
    _told(stand, _tries(stand), _code_tries(stand), verified=True)
    stand.card.fresh()
    _is_unverified(stand)
    stand.verify(PIN, _left(_tries(stand) - 1))
    stand.verify(_NEW)
    _change(stand, _NEW, PIN)
    stand.card.fresh()
    stand.verify()


@in_states("CHANGE REFERENCE DATA", "a PIN has 4 to 8 digits, all ten of them", ins=Ins.CHANGE_REFERENCE_DATA)
def _all_digits(stand: Stand) -> None:
    before = PIN
    for digits in ("0123", "45678", "987654", "9876543", "90817263"):
        _change(stand, before, pin_block(digits))
        before = pin_block(digits)
    stand.card.fresh()
    _change(stand, before, PIN)


@in_states(
    "CHANGE REFERENCE DATA", "the new PIN may be the old one, and all its digits one", ins=Ins.CHANGE_REFERENCE_DATA
)
def _any_new_pin(stand: Stand) -> None:
    _change(stand, PIN, PIN)
    _change(stand, PIN, _WRONG)
    _change(stand, _WRONG, _WRONG)
    stand.card.fresh()
    _change(stand, _WRONG, PIN)


# --- RESET RETRY COUNTER -------------------------------------------------------------------------------------------


@in_states(
    "RESET RETRY COUNTER 1",
    "a new PIN that is none is declined before the code is compared",
    ins=Ins.RESET_RETRY_COUNTER,
)
def _no_reset_pin(stand: Stand) -> None:
    for block in _NO_PINS:
        _reset(stand, _WRONG, block, W.WRONG_DATA)
    _reset(stand, PUK, _NO_PINS[0], W.WRONG_DATA)
    _told(stand, _tries(stand), _code_tries(stand), verified=False)
    stand.verify()


@in_states(
    "RESET RETRY COUNTER 2",
    "a wrong code costs a try of its own, also after a reset; the right one gives all back",
    ins=Ins.RESET_RETRY_COUNTER,
)
def _wrong_code(stand: Stand) -> None:
    _reset(stand, _WRONG, _NEW, _left(_code_tries(stand) - 1))
    stand.card.fresh()
    _reset(stand, PUK[:-1] + b"9", _NEW, _left(_code_tries(stand) - 2))
    _told(stand, _tries(stand), _code_tries(stand) - 2, verified=False)
    stand.verify()
    _reset(stand)
    _told(stand, _tries(stand), _code_tries(stand), verified=True)


@in_states("RESET RETRY COUNTER 2", "the PIN is no resetting code", ins=Ins.RESET_RETRY_COUNTER)
def _pin_is_no_code(stand: Stand) -> None:
    stand.verify(PUK, _left(_tries(stand) - 1))
    _reset(stand, PIN, _NEW, _left(_code_tries(stand) - 1))
    _reset(stand)
    _is_unverified(stand)


@case(
    "RESET RETRY COUNTER 2",
    "without tries the code is blocked for ever, and the PIN is not",
    ins=Ins.RESET_RETRY_COUNTER,
    spare=True,
)
def _code_blocked(stand: Stand) -> None:
    stand.card.fresh()
    for left in reversed(range(_code_tries(stand))):
        _reset(stand, _WRONG, _NEW, _left(left))
    _reset(stand, sw=W.BLOCKED)
    stand.card.fresh()
    _reset(stand, sw=W.BLOCKED)
    _told(stand, _tries(stand), 0, verified=False)
    stand.verify()
    _told(stand, _tries(stand), 0, verified=True)


@in_states(
    "RESET RETRY COUNTER", "it unblocks with a new PIN, which is not verified by that", ins=Ins.RESET_RETRY_COUNTER
)
def _unblocked(stand: Stand) -> None:
    _block(stand)
    _reset(stand, PUK, _NEW)
    _is_unverified(stand)
    _told(stand, _tries(stand), _code_tries(stand), verified=False)
    stand.verify(PIN, _left(_tries(stand) - 1))
    stand.verify(_NEW)
    _reset(stand)


@in_states(
    "RESET RETRY COUNTER", "what is verified stays so, whether the code is right or wrong", ins=Ins.RESET_RETRY_COUNTER
)
def _stays_as_it_is(stand: Stand) -> None:
    stand.verify()
    _reset(stand, PUK, _NEW)
    _is_verified(stand)
    _reset(stand, _WRONG, _NEW, _left(_code_tries(stand) - 1))
    _is_verified(stand)
    _reset(stand)
    _is_verified(stand)
    stand.card.select()
    _is_unverified(stand)
    stand.verify()
