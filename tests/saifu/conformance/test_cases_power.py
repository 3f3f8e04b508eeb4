"""The cases on power that goes hold on the model whatever its capacities, and bite on cards that write in two steps."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from unittest.mock import patch

import pytest

from apdu.commands import Ins
from apdu.dgi import Dgi
from apdu.payload import Tag
from apdu.protocol import Protocol
from apdu.response import ResponseApdu
from apdu.status import StatusWord
from applet_model import personalization
from applet_model.card_state import Call, CardState
from applet_model.decline import Decline, unless
from applet_model.life_cycle import Event
from applet_model.memory import Cell, Transaction
from applet_model.memory_map import SCP_TRIES
from saifu.conformance import cases_e_power
from saifu.conformance.running import Outcome, Running
from tests.saifu.conformance.cards import SpoiltCard, blank_card, stand_of
from tests.saifu.conformance.case_runs import CARDS, Broken, cases_of, failed, failing_clauses, skipped
from tests.saifu.conformance.mutants import Handler, handler, put

OURS = cases_of(cases_e_power)
LAST_BLOCK = 5 + 7
"""Writes of a last block: state, credit information, what is stored; then five places; the journal twice for each."""


@pytest.mark.parametrize("card", CARDS)
def test_they_hold(card: tuple[int, int, Protocol]) -> None:
    assert failed(OURS, card) == {}


def test_none_is_skipped() -> None:
    assert skipped(OURS, CARDS[0]) == set()


def test_every_write_of_the_last_block_is_cut() -> None:
    made: list[SpoiltCard] = []

    def make() -> SpoiltCard:
        made.append(blank_card())
        return made[-1]

    cases = [case for case in OURS if case.clause == "STORE DATA"]
    results = Running(stand_of(blank_card(), make), cases).run()
    assert {result.outcome for result in results} == {Outcome.PASSED}
    assert len(made) == LAST_BLOCK + 1


# --- one step after another ------------------------------------------------------------------------------------


def late(right: Handler, card: CardState, call: Call, *names: str) -> ResponseApdu:
    """Some cells are written in a transaction of their own, behind the rest of the command."""
    cells = {getattr(card.cells, name) for name in names}
    kept: dict[Cell, bytes | int] = {}
    right_put = Transaction.put

    def put_others(tx: Transaction, cell: Cell, value: bytes | int) -> None:
        if cell in cells:
            kept[cell] = value
        else:
            right_put(tx, cell, value)

    with patch.object(Transaction, "put", put_others):
        answer = right(card, call)
    with card.cells.memory.transaction() as tx:
        for cell, value in kept.items():
            tx.put(cell, value)
    return answer


def late_in(ins: Ins, *names: str) -> AbstractContextManager[object]:
    return handler(ins, lambda right, card, call: late(right, card, call, *names))


def late_refusal(right: Handler, card: CardState, call: Call) -> ResponseApdu:
    """Only where a refusal brings it back, the money comes behind the place that is free."""
    return late(right, card, call, "balance") if Tag.REFUSAL in call.objects else right(card, call)


# --- a key pair that no transaction holds ------------------------------------------------------------------------

Step = Callable[[CardState], object]
PAIR = personalization._KEY_PAIR_STORED
CERTIFICATE = personalization._STORED[Dgi.CERTIFICATE]


def forget_keys(card: CardState) -> None:
    with card.cells.memory.transaction() as tx:
        for cell in card.cells.center_keys:
            tx.put(cell, bytes(cell.size))


def forget(card: CardState) -> None:
    """Nothing counts any more, the pair neither."""
    with card.cells.memory.transaction() as tx:
        card.move(tx, Event.FIRST_DATA)
        tx.put(card.cells.stored, 0)
        for cell in card.cells.center_keys:
            tx.put(cell, bytes(cell.size))


def generate(card: CardState) -> None:
    """As genKeyPair does it: what is half written stays so."""
    card.cells.memory._write(card.cells.private_key.offset, card.key_pair.generate(card.random))


def stored(kept: int, marked: int = 0) -> Step:
    """Of what counts some is kept, and some is marked."""

    def step(card: CardState) -> None:
        with card.cells.memory.transaction() as tx:
            card.move(tx, Event.FIRST_DATA)
            tx.put(card.cells.stored, card.cells.stored.number() & kept | marked)

    return step


def pair_alone(card: CardState) -> None:
    """The new pair and nothing stored, in one transaction."""
    put(card, private_key=card.key_pair.generate(card.random), stored=PAIR)


def in_steps(*steps: Step) -> AbstractContextManager[object]:
    """GENERATE KEY PAIR step by step, and the answer is that of P1 81."""

    def generated(right: Handler, card: CardState, call: Call) -> ResponseApdu:
        if call.command.p1 == personalization._GENERATE:
            for step in steps:
                step(card)
        return right(card, replace(call, command=replace(call.command, p1=0x81)))

    return handler(Ins.GENERATE_KEY_PAIR, generated)


def test_a_key_pair_may_be_made_in_three_steps() -> None:
    assert failing_clauses(OURS, lambda: in_steps(forget, generate, stored(0xFF, PAIR))) == set()


PAIRS: dict[str, tuple[Step, ...]] = {
    "the new pair is marked before the rest is cleared": (stored(0xFF - PAIR), generate, stored(0xFF, PAIR), forget,
                                                          stored(0, PAIR)),
    "the old certificate counts a while longer": (forget, stored(0, CERTIFICATE), generate, stored(0xFF, PAIR),
                                                  stored(PAIR)),
    "the places of keys become free behind the new pair": (stored(0xFF), pair_alone, forget_keys),
    "a half written key counts with all that was stored": (generate, forget, stored(0, PAIR)),
    "the pair is marked before it is there": (forget, stored(0, PAIR), generate),
    "the old pair stays when the rest is cleared": (stored(PAIR), forget_keys, stored(0), generate, stored(0, PAIR)),
}  # fmt: skip


@pytest.mark.parametrize("steps", PAIRS.values(), ids=PAIRS)
def test_a_key_pair_in_steps_that_mix_old_and_new_is_found(steps: tuple[Step, ...]) -> None:
    assert failing_clauses(OURS, lambda: in_steps(*steps)) == {"GENERATE KEY PAIR"}


# --- a try that is counted when it is known to be lost -----------------------------------------------------------


def code_compared_first(right: Handler, card: CardState, call: Call) -> ResponseApdu:
    cells, data = card.cells, call.command.data
    if data[:8] != cells.puk.get():
        return right(card, call)
    unless(cells.puk_tries.number() > 0, StatusWord.BLOCKED)
    put(card, puk_tries=card.parameters.puk_tries)
    put(card, pin=data[8:], pin_tries=card.parameters.pin_tries)
    return ResponseApdu()


def proof_compared_first(right: Handler, card: CardState, call: Call) -> ResponseApdu:
    channel, left = card.session.channel, card.cells.scp_tries.number()
    if channel is None or channel.level or not left:
        return right(card, call)
    if not channel.authenticate(call.command):
        card.session.channel = None
        put(card, scp_tries=left - 1)
        raise Decline(StatusWord.SECURITY_STATUS)
    put(card, scp_tries=SCP_TRIES)
    return ResponseApdu()


WRONG: list[tuple[str, Broken]] = [
    ("RESET RETRY COUNTER", partial(late_in, Ins.RESET_RETRY_COUNTER, "pin_tries")),
    ("RESET RETRY COUNTER", partial(late_in, Ins.RESET_RETRY_COUNTER, "pin")),
    ("RESET RETRY COUNTER 2", lambda: handler(Ins.RESET_RETRY_COUNTER, code_compared_first)),
    ("PUT DATE", partial(late_in, Ins.PUT_DATE, "edition")),
    ("PUT DATE", partial(late_in, Ins.PUT_DATE, "date")),
    ("UNLOCK", partial(late_in, Ins.UNLOCK, "edition")),
    ("LOCK OUT", partial(late_in, Ins.LOCK_OUT, "life_cycle")),
    ("REQUEST", partial(late_in, Ins.REQUEST, "request_open")),
    ("SETTLE", lambda: handler(Ins.SETTLE, late_refusal)),
    ("EXTERNAL AUTHENTICATE 3", lambda: handler(Ins.EXTERNAL_AUTHENTICATE, proof_compared_first)),
    ("GENERATE KEY PAIR", partial(late_in, Ins.GENERATE_KEY_PAIR, "stored")),
    ("GENERATE KEY PAIR", partial(late_in, Ins.GENERATE_KEY_PAIR, "private_key")),
    ("STORE DATA", partial(late_in, Ins.STORE_DATA, "life_cycle")),
    ("STORE DATA", partial(late_in, Ins.STORE_DATA, "pin_tries")),
    ("STORE DATA", partial(late_in, Ins.STORE_DATA, "balance")),
]


@pytest.mark.parametrize(("clause", "broken"), WRONG)
def test_they_bite(clause: str, broken: Broken) -> None:
    assert clause in failing_clauses([case for case in OURS if case.clause == clause], broken)
