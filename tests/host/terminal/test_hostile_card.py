"""A hostile card must not hurt the host: whatever it says, the flow ends in an error of ours, in bounded time.

And no money of the honest side is lost.
"""

from collections.abc import Callable

import pytest

from apdu.commands import Ins
from apdu.errors import MisbehaviourError, SaifuError
from apdu.status import StatusError, StatusWord
from tests.host.terminal.faults import honest
from tests.host.terminal.flows import AMOUNT, FLOWS, PAYEE, PAYER, Flow
from tests.host.terminal.lies import OK, Desk, Real, instead
from tests.host.terminal.town import HookedSlot, Keypad, Town
from tests.issuer import PIN

# --- any bad answer at any moment --------------------------------------------------------------

BAD: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda _: b"",
    "one byte": lambda _: b"\x90",
    "success without data": lambda _: OK,
    "61xx for ever": lambda _: b"\x61\x00",
    "61xx for ever, with data": lambda _: bytes(256) + b"\x61\xff",
    "6Cxx for ever": lambda _: b"\x6c\x00",
    "an unknown word": lambda _: b"\x12\x34",
    "data beside an error word": lambda true: true[:-2] + b"\x6f\x00",
    "longer than Le": lambda _: bytes(257) + OK,
    "65,538 bytes": lambda _: bytes(65_536) + OK,
    "zeros": lambda true: bytes(len(true) - 2) + OK,
    "FF": lambda true: b"\xff" * (len(true) - 2) + OK,
    "cut off": lambda true: true[:-3] + OK,
    "a byte more": lambda true: true[:-2] + b"\0" + OK,
    "twice": lambda true: true[:100] * 2 + OK,
    "the last bit turned": lambda true: true[:-3] + bytes((true[-3] ^ 1,)) + OK if len(true) > 2 else b"\x69\x85",
    "the middle turned": lambda true: true[: len(true) // 2] + b"\x55" + true[len(true) // 2 + 1 :],
    "a warning for success": lambda true: true[:-2] + b"\x62\x83",
}  # fmt: skip
MOST_COMMANDS = 300


class BadFrom:
    """A card whose answers are bad, from the ``at``-th command on: once or for ever."""

    def __init__(self, at: int, make: Callable[[bytes], bytes], *, once: bool) -> None:
        self.at, self.make, self.once = at, make, once
        self.seen = 0

    def __call__(self, command: bytes, card: Real) -> bytes:
        at, self.seen = self.seen, self.seen + 1
        bad = at == self.at if self.once else at >= self.at
        answer = card(command)
        return self.make(answer) if bad else answer


def ended(flow: Flow, place: int, hook: BadFrom) -> bool:
    """Run the flow; whether it came to an end without an error."""
    flow.begin()
    try:
        flow.run((hook, honest) if place == PAYER else (honest, hook))
    except SaifuError:
        return False
    return True


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("name", ["remittance", "sale"])
def test_any_bad_answer_at_any_moment(town: Town, name: str, bad: str) -> None:
    """The same cards, honest again, then make the transfer; nothing was lost before."""
    flow = FLOWS[name](town)
    for place in (PAYER, PAYEE):
        for once in (True, False):
            at, done = 0, False
            while True:
                hook = BadFrom(at, BAD[bad], once=once)
                done = ended(flow, place, hook)
                assert hook.seen <= MOST_COMMANDS
                flow.again()
                assert flow.moved() in ((AMOUNT, 2 * AMOUNT) if done else (AMOUNT,))
                if hook.seen <= at:
                    break
                at += 1
            assert at >= 3
            assert done


# --- lists without an end -------------------------------------------------------------------------------------


def test_a_card_that_says_its_history_has_no_end_is_not_read_for_ever(town: Town) -> None:
    card, asked = town.card(1000), 0

    def hook(command: bytes, real: Real) -> bytes:
        nonlocal asked
        asked += 1
        if command[1] == Ins.READ_RECORD:
            return real(command[:2] + b"\x01\x0c\x00")
        return real(command)

    town.purse_terminal().insert(HookedSlot(card.slot("left"), hook))
    assert asked <= 20


def test_a_card_that_says_it_has_records_it_has_not_is_not_renewed(town: Town) -> None:
    card = town.card(1000)
    card.put("record", 40)
    with pytest.raises(SaifuError):
        town.atm().renew(card.slot("atm"), town.line)
    assert card.look().get_credit()[0].body.serial == 1


def test_a_pin_that_is_never_counted_down_is_not_asked_for_ever(desk: Desk, town: Town) -> None:
    town.keypad = Keypad(*[PIN] * 100)
    with pytest.raises(MisbehaviourError, match="counts no tries"):
        desk.remit(payer=instead(Ins.VERIFY, b"\x63\xcf"), amount=6000)
    with pytest.raises(MisbehaviourError, match="counts no tries"):
        desk.remit(payer=instead(Ins.VERIFY, b"\x63\xc3"), amount=6000)
    assert len(town.keypad.asked) == 1 + 2


def test_a_pin_that_is_accepted_and_asked_again_ends(desk: Desk, town: Town) -> None:
    town.keypad = Keypad(*[PIN] * 100)
    with pytest.raises(StatusError) as declined:
        desk.remit(payer=instead(Ins.PAY, StatusWord.SECURITY_STATUS.to_bytes(2)), amount=6000)
    assert declined.value.sw == StatusWord.SECURITY_STATUS
    assert len(town.keypad.asked) == 1
