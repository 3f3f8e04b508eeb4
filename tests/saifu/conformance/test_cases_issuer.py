"""The cases on channel, personalization, credit and lock-out hold on the model, and bite where it is tricky."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from random import Random
from unittest.mock import patch

import pytest

from apdu.commands import Ins
from apdu.dgi import Dgi
from apdu.identity import LifeCycle
from apdu.messages import Attestation, Credit, Head, Signed
from apdu.objects import KeyUse
from apdu.payload import Tag
from apdu.proof import BLOCK_BITS, Proof
from apdu.protocol import Protocol
from apdu.response import ResponseApdu
from apdu.status import StatusWord
from applet_model import attest, lock_out, personalization, scp03
from applet_model.card_state import Call, CardState
from applet_model.decline import unless
from applet_model.memory import NumberCell, Transaction
from applet_model.memory_map import SCP_TRIES
from applet_model.scp03 import CardChannel
from saifu.conformance import (
    cases_a_channel,
    cases_a_secured,
    cases_b_last_block,
    cases_b_personalization,
    cases_c_credit,
    cases_d_lock_out,
    cases_d_terminate,
)
from saifu.conformance.case import CASES
from saifu.conformance.running import Outcome, Running
from tests.saifu.conformance.cards import blank_card, stand_of
from tests.saifu.conformance.case_runs import failed_in, failing_clauses
from tests.saifu.conformance.mutants import Handler, Mutant, Mutants, always_left, handler, put

MODULES = (
    cases_a_channel,
    cases_a_secured,
    cases_b_personalization,
    cases_b_last_block,
    cases_c_credit,
    cases_d_lock_out,
    cases_d_terminate,
)


def module_of(run: object) -> str:
    """Where a case is written, also when some of its arguments are filled in."""
    *_, inner = [run, *(one for one in getattr(run, "args", ()) if callable(one))]
    return str(getattr(getattr(inner, "func", inner), "__module__", ""))


OURS = [case for case in CASES if module_of(case.run) in {module.__name__ for module in MODULES}]
MOST = 2_300
"""Exchanges that all of them take at most with the card under test, at T=1."""


# --- they hold -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("history_places", "unsettled_places", "protocol"),
    [(8, 1, Protocol.T1), (8, 8, Protocol.T0), (1024, 2, Protocol.T1)],
)
def test_cases_hold_in_any_order_also_on_a_card_that_is_met_again(
    history_places: int, unsettled_places: int, protocol: Protocol
) -> None:
    card = blank_card(protocol, history_places, unsettled_places)
    for seed in range(2):
        stand = stand_of(card)
        assert failed_in(Running(stand, Random(seed).sample(OURS, len(OURS)))) == {}
        assert stand.card.state is LifeCycle.ACTIVE


def test_nothing_is_skipped_on_a_card_in_this_process() -> None:
    running = Running(stand_of(blank_card(), blank_card), OURS)
    assert [result.case.name for result in running.run() if result.outcome is not Outcome.PASSED] == []
    assert running.stand.card.told.exchanges <= MOST


def test_reasons_are_given_for_rows_that_no_case_reaches() -> None:
    assert cases_a_channel.UNREACHED.keys() == {"INITIALIZE UPDATE 3", "EXTERNAL AUTHENTICATE 2"}


# --- they bite -----------------------------------------------------------------------------------------------

WRONG = Mutants()
wrong = WRONG.wrong


@wrong("EXTERNAL AUTHENTICATE 3", "a failed proof takes no try")
def _() -> AbstractContextManager[object]:
    def authenticate(right: Handler, card: CardState, call: Call) -> ResponseApdu:
        try:
            return right(card, call)
        finally:
            put(card, scp_tries=SCP_TRIES)

    return handler(Ins.EXTERNAL_AUTHENTICATE, authenticate)


@wrong("EXTERNAL AUTHENTICATE 3", "a right proof gives no tries back")
def _() -> AbstractContextManager[object]:
    return patch.object(personalization, "SCP_TRIES", 1)


@wrong("EXTERNAL AUTHENTICATE 4", "after a wrong proof the right one still opens the channel")
def _() -> AbstractContextManager[object]:
    def authenticate(right: Handler, card: CardState, call: Call) -> ResponseApdu:
        channel = card.session.channel
        try:
            return right(card, call)
        finally:
            card.session.channel = channel

    return handler(Ins.EXTERNAL_AUTHENTICATE, authenticate)


@wrong("INITIALIZE UPDATE", "the card challenge does not depend on the sequence counter")
def _() -> AbstractContextManager[object]:
    right = scp03.card_challenge
    return patch.object(personalization, "card_challenge", lambda enc, _, aid: right(enc, 1, aid))


@wrong("Secure channel", "answers are encrypted under the counter of commands")
def _() -> AbstractContextManager[object]:
    right = CardChannel._icv
    return patch.object(CardChannel, "_icv", lambda self, _: right(self, 0))


@wrong("Secure channel", "a command without data is not counted")
def _() -> AbstractContextManager[object]:
    right = CardChannel.unwrap

    def unwrap(self: CardChannel, command: object) -> object:
        plain = right(self, command)  # type: ignore[arg-type]  # passed on as it came
        self._counter -= not plain.data
        return plain

    return patch.object(CardChannel, "unwrap", unwrap)


@wrong("Order of checks 7", "any padding will do")
def _() -> AbstractContextManager[object]:
    right = CardChannel._decrypt

    def decrypt(self: CardChannel, data: bytes) -> bytes:
        try:
            return right(self, data)
        except scp03.SecureMessagingError:
            return b""

    return patch.object(CardChannel, "_decrypt", decrypt)


@wrong("GENERATE KEY PAIR", "a new pair leaves the old center keys in their places")
def _() -> AbstractContextManager[object]:
    def generate(right: Handler, card: CardState, call: Call) -> ResponseApdu:
        keys = [cell.get() for cell in card.cells.center_keys]
        answer = right(card, call)
        with card.cells.memory.transaction() as tx:
            for cell, key in zip(card.cells.center_keys, keys, strict=True):
                tx.put(cell, key)
        return answer

    return handler(Ins.GENERATE_KEY_PAIR, generate)


@wrong("STORE DATA 5", "a key of the same number takes the place, whatever its use")
def _() -> AbstractContextManager[object]:
    def store(card: CardState, tx: Transaction, value: bytes, _encrypted: bool) -> None:
        right(card, tx, value, _encrypted)
        others = [cell for cell in card.cells.center_keys if tx.get(cell)[:1] == value[:1] and tx.get(cell) != value]
        for cell in others:
            tx.put(cell, bytes(cell.size))

    right = personalization._store_center_key
    return patch.dict(personalization._STORE, {Dgi.CENTER_KEY: store})


@contextmanager
def _one_use() -> Iterator[None]:
    """Keys are found by their number alone."""
    right = CardState.center_point

    def point(card: CardState, number: int, use: KeyUse) -> bytes | None:
        return right(card, number, use) or next(filter(None, (right(card, number, other) for other in KeyUse)), None)

    with patch.object(CardState, "center_point", point):
        yield


for _clause in (
    "STORE DATA 10",
    "STORE DATA 12",
    "PUT CREDIT 5",
    "PUT DATE 4",
    "LOCK OUT 5",
    "UNLOCK 4",
    "TERMINATE 4",
):
    wrong(_clause, "a key for the other use will do")(_one_use)


@wrong("STORE DATA 11", "the first credit information may have seen records")
def _() -> AbstractContextManager[object]:
    def check(card: CardState, parameters: object) -> object:
        del parameters
        signed = Signed.decode(Credit, card.cells.credit.get())
        return card.center_signed(signed, signed.body.key)

    return patch.object(personalization, "_check_credit", check)


@wrong("PUT CREDIT", "the date becomes that of issue also backward")
def _() -> AbstractContextManager[object]:
    def put_credit(right: Handler, card: CardState, call: Call) -> ResponseApdu:
        answer = right(card, call)
        put(card, date=card.credit.issued)
        return answer

    return handler(Ins.PUT_CREDIT, put_credit)


@wrong("PUT CREDIT 4", "the center may have seen more than there is")
def _() -> AbstractContextManager[object]:
    right = NumberCell.number

    def put_credit(handler_: Handler, card: CardState, call: Call) -> ResponseApdu:
        record = card.cells.record
        with patch.object(NumberCell, "number", lambda cell: 0xFFFFFFFF if cell is record else right(cell)):
            return handler_(card, call)

    return handler(Ins.PUT_CREDIT, put_credit)


@wrong("Credit information", "the terminal's date alone is looked at")
def _() -> AbstractContextManager[object]:
    def now(card: CardState, call: Call) -> int:
        return int.from_bytes(call.objects.get(Tag.DATE, b"")) or card.cells.date.number()

    return patch.object(CardState, "now", now)


@wrong("ATTEST", "a locked-out card attests that it is active")
def _() -> AbstractContextManager[object]:
    return patch.object(attest, "Attestation", lambda **said: Attestation(**said | {"state": LifeCycle.ACTIVE}))


wrong("The proof", "a node is always the left child")(always_left)


@wrong("LOCK OUT 6", "the leaf's block is not the card's own")
def _() -> AbstractContextManager[object]:
    right = Proof.root

    return patch.object(Proof, "root", lambda proof, serial: right(proof, serial + (1 << BLOCK_BITS)))


@wrong("LOCK OUT 4", "any edition is believed")
def _() -> AbstractContextManager[object]:
    right = lock_out._head

    def head(card: CardState, raw: bytes) -> Signed[Head]:
        put(card, edition=0)
        return right(card, raw)

    return patch.object(lock_out, "_head", head)


@wrong("LOCK OUT", "the edition that was seen already is not believed")
def _() -> AbstractContextManager[object]:
    right = lock_out._head

    def head(card: CardState, raw: bytes) -> Signed[Head]:
        signed = right(card, raw)
        unless(signed.body.edition > card.cells.edition.number(), StatusWord.OLDER)
        return signed

    return patch.object(lock_out, "_head", head)


@wrong("UNLOCK", "an order leaves the edition as it was")
def _() -> AbstractContextManager[object]:
    def unlock(right: Handler, card: CardState, call: Call) -> ResponseApdu:
        before = card.cells.edition.number()
        answer = right(card, call)
        put(card, edition=before)
        return answer

    return handler(Ins.UNLOCK, unlock)


@wrong("PUT DATE", "a locked-out card keeps the head and not its date")
def _() -> AbstractContextManager[object]:
    def put_date(right: Handler, card: CardState, call: Call) -> ResponseApdu:
        before = card.cells.date.number()
        answer = right(card, call)
        if card.life_cycle is LifeCycle.LOCKED_OUT:
            put(card, date=before)
        return answer

    return handler(Ins.PUT_DATE, put_date)


@wrong("TERMINATE", "the end of a card's life takes its money")
def _() -> AbstractContextManager[object]:
    def terminate(right: Handler, card: CardState, call: Call) -> ResponseApdu:
        answer = right(card, call)
        put(card, balance=0)
        return answer

    return handler(Ins.TERMINATE, terminate)


@pytest.mark.parametrize("mutant", WRONG, ids=lambda mutant: f"{mutant.clause}: {mutant.name}")
def test_a_wrong_card_fails(mutant: Mutant) -> None:
    assert mutant.clause in failing_clauses([case for case in OURS if case.clause == mutant.clause], mutant.broken)
