"""The cases on large numbers and long histories hold on the model; each wrong card fails at its clause alone."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from unittest.mock import patch

import pytest

from apdu.commands import Ins
from apdu.identity import LifeCycle
from apdu.messages import Credit, Head, Signed, UnlockOrder, Value
from apdu.payload import Tag
from apdu.proof import Proof
from apdu.protocol import Protocol
from apdu.response import ResponseApdu
from apdu.status import StatusWord
from applet_model import credit, lock_out, purse, unsettled
from applet_model.backing import MemoryBacking
from applet_model.card import SmartCard
from applet_model.card_state import Call, CardState
from applet_model.decline import unless
from applet_model.memory import Transaction
from applet_model.memory_map import blank_image
from saifu.conformance import cases_3_identification, cases_e_numbers
from saifu.conformance.issuer import CHIP
from saifu.conformance.running import Outcome, Running
from tests.saifu.conformance.cards import blank_card, stand_of
from tests.saifu.conformance.case_runs import CARDS, Broken, cases_of, failed, failing_clauses, skipped
from tests.saifu.conformance.mutants import Handler, Mutant, MutantCard, always_left, handler, put

OURS = cases_of(cases_e_numbers)
FILES = [case for case in cases_of(cases_3_identification) if "of file 2" in case.title]
LONG = 256
"""Records of a history that has a second file."""
HOW = "How to read this page"
Narrow = Callable[[int], int]
"""What a card takes a number of 32 bits for."""


@pytest.mark.parametrize("card", CARDS)
def test_they_hold(card: tuple[int, int, Protocol]) -> None:
    assert failed(OURS, card) == {}


@pytest.mark.parametrize("card", CARDS[:2])
def test_nothing_is_skipped_where_cards_can_be_made(card: tuple[int, int, Protocol]) -> None:
    assert skipped(OURS, card) == set()


# --- they bite -----------------------------------------------------------------------------------------------


def short(number: int) -> int:
    """Its low 16 bits alone."""
    return number & 0xFFFF


def signed(number: int) -> int:
    """As it is with a sign."""
    return number - (1 << 32) if number >> 31 else number


def wrapped(number: int) -> int:
    """A sum as 32 bits hold it."""
    return number & 0xFFFF_FFFF


def room(narrow: Narrow) -> AbstractContextManager[object]:
    def fits(card: CardState, amount: int) -> bool:
        sum_ = card.cells.balance.number() + unsettled.total(card) + amount
        return narrow(sum_) <= narrow(card.parameters.balance_max)

    return patch.object(purse, "_fits", fits)


def allowance(narrow: Narrow) -> AbstractContextManager[object]:
    def check(card: CardState, amount: int) -> None:
        paid = card.cells.used_amount.number() + amount
        unless(narrow(paid) <= narrow(card.credit.amount), StatusWord.CREDIT_LIMIT)
        if paid > 0xFFFF_FFFF:
            put(card, used_amount=0)  # the cell would not hold it

    return patch.object(credit, "check_allowance", check)


def taken_off(**cells: int) -> AbstractContextManager[object]:
    """A payment leaves no more than some bits in cells."""
    right = purse._take_off

    def take_off(card: CardState, place: int, value: Value, raw: bytes, point: bytes, now: int) -> None:
        right(card, place, value, raw, point, now)
        put(card, **{name: getattr(card.cells, name).number() & bits for name, bits in cells.items()})

    return patch.object(purse, "_take_off", take_off)


def serials(narrow: Narrow) -> AbstractContextManager[object]:
    def put_credit(_: Handler, card: CardState, call: Call) -> ResponseApdu:
        given = card.decode(Credit, call.objects[Tag.CREDIT])
        unless(narrow(given.body.serial) > narrow(card.credit.serial), StatusWord.OLDER)
        put(card, credit=given.raw, date=max(card.cells.date.number(), given.body.issued))
        return ResponseApdu()

    return handler(Ins.PUT_CREDIT, put_credit)


def editions(narrow: Narrow) -> AbstractContextManager[object]:
    def head(card: CardState, raw: bytes) -> Signed[Head]:
        given = card.decode(Head, raw)
        unless(narrow(given.body.edition) >= narrow(card.cells.edition.number()), StatusWord.OLDER)
        return given

    return patch.object(lock_out, "_head", head)


def orders(narrow: Narrow) -> AbstractContextManager[object]:
    def unlock(_: Handler, card: CardState, call: Call) -> ResponseApdu:
        order = card.decode(UnlockOrder, call.objects[Tag.ORDER]).body
        unless(narrow(order.edition) > narrow(card.cells.edition.number()), StatusWord.OLDER)
        put(card, life_cycle=LifeCycle.ACTIVE, edition=order.edition)
        return ResponseApdu()

    return handler(Ins.UNLOCK, unlock)


def times() -> AbstractContextManager[object]:
    """Times of heads have a sign."""
    right = lock_out._keep

    def keep(card: CardState, tx: Transaction, head: Signed[Head]) -> None:
        right(card, tx, head)
        tx.put(card.cells.date, max(card.cells.date.number(), head.body.time, key=signed))

    return patch.object(lock_out, "_keep", keep)


def dates_of_issue() -> AbstractContextManager[object]:
    """They have a sign."""

    def put_credit(right: Handler, card: CardState, call: Call) -> ResponseApdu:
        before = card.cells.date.number()
        answer = right(card, call)
        put(card, date=max(before, card.credit.issued, key=signed))
        return answer

    return handler(Ins.PUT_CREDIT, put_credit)


def bitmap(bits: int) -> AbstractContextManager[object]:
    """The place in the bitmap has these bits of the serial."""

    def lists(proof: Proof, serial: int) -> bool:
        low = serial & bits
        return bool(proof.bitmap[low >> 3] >> (7 - (low & 7)) & 1)

    return patch.object(Proof, "lists", lists)


def blocks(bits: int) -> AbstractContextManager[object]:
    """The block has these bits of the serial."""
    right = Proof.root
    return patch.object(Proof, "root", lambda proof, serial: right(proof, serial & bits))


def short_sequence() -> AbstractContextManager[object]:
    """The sequence counter has one byte."""

    def update(right: Handler, card: CardState, call: Call) -> ResponseApdu:
        if card.cells.scp_sequence.number() == 0xFF:
            put(card, scp_sequence=0xFF_FFFF)
        return right(card, call)

    return handler(Ins.INITIALIZE_UPDATE, update)


def later_file() -> AbstractContextManager[object]:
    """File 2 begins with the 256th record."""

    def read(right: Handler, card: CardState, call: Call) -> ResponseApdu:
        skipped = int(call.command.p2 >> 3 == 2)
        return right(card, replace(call, command=replace(call.command, p1=call.command.p1 + skipped)))

    return handler(Ins.READ_RECORD, read)


WRONG: dict[str, tuple[str, Broken]] = {
    "the sum in the purse wraps": (HOW, partial(room, wrapped)),
    "the sum of what was paid wraps": (HOW, partial(allowance, wrapped)),
    "what was paid has a sign": (HOW, partial(allowance, signed)),
    "the balance has 24 bits": (HOW, partial(taken_off, balance=0xFF_FFFF)),
    "what was paid has 16 bits": (HOW, partial(taken_off, used_amount=0xFFFF)),
    "serials have a sign": (HOW, partial(serials, signed)),
    "serials have 16 bits": (HOW, partial(serials, short)),
    "editions have a sign": (HOW, partial(editions, signed)),
    "editions have 16 bits": (HOW, partial(editions, short)),
    "editions of orders have a sign": (HOW, partial(orders, signed)),
    "editions of orders have 16 bits": (HOW, partial(orders, short)),
    "times have a sign": (HOW, times),
    "dates of issue have a sign": (HOW, dates_of_issue),
    "a place in the bitmap has 7 bits": ("The proof", partial(bitmap, 0x7F)),
    "the bitmap has one byte": ("The proof", partial(bitmap, 0x07)),
    "blocks have 16 bits": ("The proof", partial(blocks, 0x00FF_FFFF)),
    "blocks are always on the left": ("The proof", always_left),
    "the sequence counter has one byte": ("INITIALIZE UPDATE", short_sequence),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_card_fails_at_its_clause_alone(name: str) -> None:
    clause, broken = WRONG[name]
    assert failing_clauses(OURS, broken) == {clause}


@pytest.mark.parametrize("of", [room, allowance, serials, editions, orders])
def test_a_card_that_takes_numbers_as_they_are_does_not_fail(
    of: Callable[[Narrow], AbstractContextManager[object]],
) -> None:
    assert failing_clauses(OURS, partial(of, int)) == set()


# --- the second file of records ------------------------------------------------------------------------------


class LongMutant(MutantCard):
    """A wrong card with a long history."""

    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant
        SmartCard.__init__(self, MemoryBacking(blank_image(CHIP, LONG, 4)))


def outcome_of_files(card: SmartCard, make: Callable[[], SmartCard] | None = None) -> Outcome:
    return Running(stand_of(card, make), FILES).run()[-1].outcome


def test_the_second_file_is_read_where_a_history_is_so_long() -> None:
    assert outcome_of_files(blank_card()) is Outcome.SKIPPED
    assert outcome_of_files(blank_card(), blank_card) is Outcome.SKIPPED
    assert outcome_of_files(blank_card(history=LONG - 1)) is Outcome.PASSED
    assert outcome_of_files(blank_card(), partial(blank_card, history=LONG)) is Outcome.PASSED


def test_a_second_file_that_begins_later_fails() -> None:
    wrong = partial(LongMutant, Mutant("later", "", later_file))
    assert outcome_of_files(wrong()) is Outcome.FAILED
    assert outcome_of_files(blank_card(), wrong) is Outcome.FAILED
