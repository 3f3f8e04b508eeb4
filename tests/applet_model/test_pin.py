"""PIN and resetting code: tries, blocking, unblocking, and what the PIN is wanted for."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apdu.commands import PIN_REFERENCE, Ins
from apdu.errors import OutcomeUnknownError
from apdu.identity import LifeCycle
from apdu.status import StatusError
from applet_model.memory import Cut
from applet_model.pin import is_pin
from host.session import Paid, PurseSession, pin_block
from tests.applet_model.cards import ISSUER, CopiedCard, image_in, purse, session
from tests.issuer import NOW, PIN, PUK

WRONG, NEW = pin_block("0000"), pin_block("987654")


def active() -> CopiedCard:
    return CopiedCard(image_in(LifeCycle.ACTIVE)).selected()


def verify(card: CopiedCard, data: bytes = b"") -> int:
    return card.send(0x00, Ins.VERIFY, 0, PIN_REFERENCE, data).sw


def change(card: CopiedCard, old: bytes, new: bytes) -> int:
    return card.send(0x00, Ins.CHANGE_REFERENCE_DATA, 0, PIN_REFERENCE, old + new).sw


def reset(card: CopiedCard, code: bytes, new: bytes) -> int:
    return card.send(0x00, Ins.RESET_RETRY_COUNTER, 0, PIN_REFERENCE, code + new).sw


def tries(card: CopiedCard) -> tuple[int, int, int]:
    """Tries of PIN and resetting code, and whether the PIN is verified, as GET DATA 0108 tells."""
    raw = card.send(0x00, Ins.GET_DATA, 1, 8, ne=5).data
    assert raw[:2] == b"\x96\x03"
    return raw[2], raw[3], raw[4]


def test_asking_costs_no_try() -> None:
    card = active()
    assert [verify(card) for _ in range(20)] == [0x63C3] * 20
    assert tries(card) == (3, 10, 0)


def test_the_right_pin() -> None:
    card = active()
    assert (verify(card, PIN), verify(card)) == (0x9000, 0x9000)
    assert tries(card) == (3, 10, 1)


def test_wrong_pins_block() -> None:
    card = active()
    assert [verify(card, WRONG) for _ in range(4)] == [0x63C2, 0x63C1, 0x6983, 0x6983]
    assert (verify(card), verify(card, PIN)) == (0x6983, 0x6983)
    assert tries(card) == (0, 10, 0)


def test_tries_survive_a_reset() -> None:
    card = active()
    words = [verify(card.selected(), WRONG) for _ in range(4)]
    assert words == [0x63C2, 0x63C1, 0x6983, 0x6983]


def test_the_right_pin_gives_the_tries_back() -> None:
    card = active()
    assert [verify(card, pin) for pin in (WRONG, WRONG, PIN, WRONG)] == [0x63C2, 0x63C1, 0x9000, 0x63C2]


def test_a_wrong_pin_takes_the_verification_back() -> None:
    card = active()
    assert (verify(card, PIN), verify(card, WRONG), verify(card)) == (0x9000, 0x63C2, 0x63C2)


def test_selection_and_reset_take_the_verification_back() -> None:
    card = active()
    verify(card, PIN)
    card.send(0x00, Ins.SELECT, 4, 0x0C, b"\xf0SAIFU")
    assert verify(card) == 0x63C3
    verify(card, PIN)
    assert verify(card.selected()) == 0x63C3


def test_a_select_that_fails_leaves_everything_as_it_was() -> None:
    card = active()
    verify(card, PIN)
    assert card.send(0x00, Ins.SELECT, 4, 0x0C, b"\xf0OTHER").sw == 0x6A82
    assert verify(card) == 0x9000


@pytest.mark.parametrize(
    "almost", [b"1234\0\0\0\0", b"12340000", b"1234    ", b"\xff" * 8, bytes(8), b"4321\xff\xff\xff\xff"]
)
def test_a_pin_is_its_whole_block(almost: bytes) -> None:
    assert verify(active(), almost) == 0x63C2


def test_change() -> None:
    card = active()
    assert change(card, PIN, NEW) == 0x9000
    assert verify(card) == 0x9000
    assert (verify(card.selected(), PIN), verify(card, NEW)) == (0x63C2, 0x9000)


def test_change_with_a_wrong_pin_costs_a_try_and_changes_nothing() -> None:
    card = active()
    assert [change(card, WRONG, NEW) for _ in range(3)] == [0x63C2, 0x63C1, 0x6983]
    assert change(card, PIN, NEW) == 0x6983
    assert (reset(card, PUK, PIN), verify(card, PIN)) == (0x9000, 0x9000)


BAD_PINS = [
    b"123\xff\xff\xff\xff\xff",
    b"12a4\xff\xff\xff\xff",
    b"1234\xff5\xff\xff",
    bytes(8),
    b"\xff" * 8,
    b"1234\0\0\0\0",
]


@pytest.mark.parametrize("bad", BAD_PINS)
def test_a_new_pin_that_is_none_costs_no_try(bad: bytes) -> None:
    card = active()
    assert (change(card, PIN, bad), change(card, WRONG, bad)) == (0x6A80, 0x6A80)
    assert (reset(card, PUK, bad), reset(card, WRONG, bad)) == (0x6A80, 0x6A80)
    assert (tries(card), verify(card, PIN)) == ((3, 10, 0), 0x9000)


def test_the_resetting_code_unblocks_and_does_not_verify() -> None:
    card = active()
    for _ in range(3):
        verify(card, WRONG)
    assert (reset(card, PUK, NEW), verify(card)) == (0x9000, 0x63C3)
    assert (verify(card, PIN), verify(card, NEW)) == (0x63C2, 0x9000)


def test_a_wrong_resetting_code_blocks_for_ever() -> None:
    card = active()
    words = [reset(card, WRONG, NEW) for _ in range(11)]
    assert words == [*(0x63C0 | left for left in range(9, 0, -1)), 0x6983, 0x6983]
    assert (reset(card, PUK, NEW), verify(card, PIN)) == (0x6983, 0x9000)
    assert tries(card) == (3, 0, 1)


def test_the_right_resetting_code_gives_its_tries_back() -> None:
    card = active()
    assert [reset(card, code, NEW) for code in (WRONG, PUK, WRONG)] == [0x63C9, 0x9000, 0x63C9]


@pytest.mark.parametrize(("pin_tries", "puk_tries"), [(1, 1), (15, 15)])
def test_tries_are_what_personalization_gave(pin_tries: int, puk_tries: int) -> None:
    card = purse(3, pin_tries=pin_tries, puk_tries=puk_tries).selected()
    assert tries(card) == (pin_tries, puk_tries, 0)
    assert {verify(card, WRONG) for _ in range(pin_tries)} >= {0x6983}
    assert {reset(card, WRONG, NEW) for _ in range(puk_tries)} >= {0x6983}
    assert tries(card) == (0, 0, 0)


# --- what it is for ----------------------------------------------------------------------------------------


def pay(payer: PurseSession, payee: PurseSession, amount: int) -> Paid:
    return payer.pay(payee.request(amount, payer.card, NOW), NOW)


def test_pay_above_the_purses_amount_wants_the_pin() -> None:
    payer, payee = session(purse(1, 50_000)), session(purse(2))
    pay(payer, payee, 5_000)
    with pytest.raises(StatusError, match="6982"):
        pay(payer, payee, 5_001)
    payer.verify(PIN)
    pay(payer, payee, 5_001)
    payer.select()
    with pytest.raises(StatusError, match="6982"):
        pay(payer, payee, 5_001)
    assert payer.select().status.balance == 50_000 - 5_000 - 5_001


def test_a_purse_may_always_want_the_pin() -> None:
    payer, payee = session(purse(1, 50_000, pin_above=0)), session(purse(2))
    with pytest.raises(StatusError, match="6982"):
        pay(payer, payee, 1)
    payer.verify(PIN)
    pay(payer, payee, 1)


def test_the_payee_needs_no_pin() -> None:
    payer, payee = session(purse(1, 50_000)), session(purse(2, pin_above=0))
    assert payee.request(100, ISSUER.id(1), NOW).request.amount == 100
    assert payer.card == ISSUER.id(1)


# --- cuts --------------------------------------------------------------------------------------------------


def guess(image: bytes, pin: bytes, write: int, how: Cut) -> tuple[bytes, bool]:
    """Guess once and cut the power; returns the image, and whether the thief learned anything."""
    card = CopiedCard(image)
    purse, start = session(card), card.writes
    blocked = purse.get_reference_data().pin_tries == 0
    card.tear(write, how)
    try:
        purse.verify(pin)
    except OutcomeUnknownError:
        return card.image(), card.writes > start + 3
    except StatusError:
        return card.image(), not blocked
    return card.image(), True


@pytest.mark.parametrize(("write", "how"), list(product(range(6), Cut)))
def test_no_cut_gives_more_guesses_than_tries(write: int, how: Cut) -> None:
    image, learned = image_in(LifeCycle.ACTIVE), 0
    for _ in range(10):
        image, told = guess(image, WRONG, write, how)
        learned += told
    assert learned <= 3


@pytest.mark.parametrize("how", Cut)
def test_a_cut_after_the_comparison_has_cost_the_try(how: Cut) -> None:
    """The right PIN makes a fourth write, a wrong one does not: who cuts there learns it, and pays for it."""
    image, told = guess(image_in(LifeCycle.ACTIVE), PIN, 3, how)
    assert told
    assert tries(CopiedCard(image).selected())[0] == (3 if how is Cut.AFTER else 2)


# --- the form of a PIN -------------------------------------------------------------------------------------


@given(st.text("0123456789", min_size=4, max_size=8))
def test_four_to_eight_digits_are_a_pin(digits: str) -> None:
    assert is_pin(pin_block(digits))


@given(st.binary(min_size=8, max_size=8))
def test_only_digits_then_ff_are_a_pin(block: bytes) -> None:
    digits = block.rstrip(b"\xff")
    assert is_pin(block) == (digits.isdigit() and len(digits) >= 4)


@pytest.mark.parametrize("size", [0, 4, 7, 9, 16])
def test_a_pin_block_has_eight_bytes(size: int) -> None:
    assert not is_pin(b"12345678".ljust(size, b"\xff")[:size])
