"""The cases on PUT KEY hold on the model and bite; whatever ends a run, the card has its own keys again afterwards."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from unittest.mock import patch

import pytest

from apdu.cipher import cbc_decrypt
from apdu.commands import Ins
from apdu.errors import ReaderError, SecureChannelError
from apdu.identity import LifeCycle
from apdu.protocol import Protocol
from apdu.response import ResponseApdu
from applet_model import put_key
from applet_model.card_state import Call, CardState
from applet_model.decline import Decline
from applet_model.memory_map import SCP_TRIES, MemoryMap
from host.issuer_session import IssuerSession
from host.model import ModelSlot
from host.scp03 import StaticKeys
from saifu.conformance import cases_b_put_key, cases_e_power
from saifu.conformance.case import Case
from saifu.conformance.changing_keys import VERSION, change
from saifu.conformance.channel import Channel
from saifu.conformance.issuer import PUT, STATIC
from saifu.conformance.running import Running
from saifu.conformance.stand import Stand
from tests.saifu.conformance.cards import SpoiltCard, blank_card, stand_of, subject_of
from tests.saifu.conformance.case_runs import CARDS, Broken, cases_of, failed, failing_clauses, skipped
from tests.saifu.conformance.mutants import Handler, handler, put

OURS = [*cases_of(cases_b_put_key), *(case for case in cases_of(cases_e_power) if case.ins is Ins.PUT_KEY)]
OLD, NEW = STATIC, PUT[0]
Change = Callable[[Handler, CardState, Call], ResponseApdu]


# --- they hold -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("card", CARDS[:2], ids=str)
def test_they_hold_on_the_model(card: tuple[int, int, Protocol]) -> None:
    assert failed(OURS, card) == {}
    assert skipped(OURS, card) == set()


# --- a card is left with its keys ------------------------------------------------------------------------------


def has_keys(card: SpoiltCard, keys: StaticKeys) -> int:
    """Open a channel with these keys; returns their version. Raises SecureChannelError with others."""
    session = IssuerSession(ModelSlot("look", card).connect(), lambda _: keys)
    return session.card.key_version


@pytest.mark.parametrize("version", [0xFF, 0x01, 0x30])
def test_after_a_run_the_card_has_its_own_keys(version: int) -> None:
    card = blank_card()
    put_version(card, version)
    Running(stand_of(card), OURS).run()
    assert has_keys(card, OLD) == (1 if version == 0xFF else version)


def put_version(card: SpoiltCard, version: int) -> None:
    cells = MemoryMap.open(card._cells.memory.backing)
    with cells.memory.transaction() as tx:
        tx.put(cells.key_version, version)


def interrupted(error: BaseException) -> Case:
    """A case that is ended right after it has changed the keys."""

    def run(stand: Stand) -> None:
        change(Channel.open(stand.card), VERSION, NEW)
        raise error

    return Case("PUT KEY", "it comes to no end", LifeCycle.BLANK, run)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), AssertionError("the case fails"), ReaderError("no answer")])
def test_a_case_that_is_ended_leaves_the_card_with_its_own_keys(error: BaseException) -> None:
    card = blank_card()
    Running(stand_of(card), [interrupted(error)]).run()
    assert has_keys(card, OLD) == 1


@pytest.mark.parametrize("keys", PUT, ids=lambda keys: str(len(keys.enc)))
def test_a_card_that_a_killed_run_left_with_other_keys_gets_its_own_when_it_is_met(keys: StaticKeys) -> None:
    card = blank_card()
    change(Channel.open(subject_of(card)), VERSION, keys)
    subject_of(card)
    assert has_keys(card, OLD) == 1
    stand_of(card).personalize()


def test_a_card_with_keys_of_somebody_else_is_left_alone() -> None:
    card = blank_card()
    mine = StaticKeys(*(bytes(range(first, first + 16)) for first in (1, 2, 3)))
    IssuerSession(ModelSlot("other", card).connect(), lambda _: OLD).put_key(5, mine)
    with pytest.raises(SecureChannelError, match="give its own with --keys"):
        subject_of(card)
    assert has_keys(card, mine) == 5


# --- they bite -------------------------------------------------------------------------------------------------


def keep(*cells: str) -> Change:
    """Some cells stay as they were."""

    def act(right: Handler, card: CardState, call: Call) -> ResponseApdu:
        before = {name: getattr(card.cells, name).get() for name in cells}
        answer = right(card, call)
        put(card, **before)
        return answer

    return act


def changed(act: Change) -> Broken:
    return lambda: handler(Ins.PUT_KEY, act)


def any_version_to_replace(right: Handler, card: CardState, call: Call) -> ResponseApdu:
    version = card.cells.key_version.number()
    header = replace(call.command, p1=0 if version == 0xFF else version)
    return right(card, replace(call, command=header))


def zero_replaces_any(right: Handler, card: CardState, call: Call) -> ResponseApdu:
    return right(card, call) if call.command.p1 else any_version_to_replace(right, card, call)


def two_keys_will_do() -> AbstractContextManager[object]:
    right = put_key._blocks

    def blocks(data: bytes) -> list[object]:
        try:
            return list(right(data))
        except Decline:
            return list(right(data + data[-23:]))

    return patch.object(put_key, "_blocks", blocks)


def bytes_behind_are_passed_over() -> AbstractContextManager[object]:
    right = put_key._blocks
    return patch.object(put_key, "_blocks", lambda data: right(data[:-1] if len(data) % 23 == 1 else data))


def any_type() -> AbstractContextManager[object]:
    right = put_key._block
    return patch.object(put_key, "_block", lambda data: right(b"\x88" + data[1:]))


def length_is_not_looked_at() -> AbstractContextManager[object]:
    right = put_key._block

    def block(data: bytes) -> object:
        padded = {16: 17, 24: 33, 32: 33}.get(data[2] if len(data) > 2 else 0, 0)
        return right(data[:1] + bytes((padded,)) + data[2:])

    return patch.object(put_key, "_block", block)


def any_check_size() -> AbstractContextManager[object]:
    """The length of a check value is not looked at: there are 3 bytes, whatever it says."""
    right = put_key._block

    def block(data: bytes) -> object:
        at = 19 if data[2:3] == b"\x10" else 35
        return right(data[:at] + b"\x03" + data[at + 1 :])

    return patch.object(put_key, "_block", block)


def mixed_sizes(right: Handler, card: CardState, call: Call) -> ResponseApdu:
    """Each key counts as long as the first."""
    blocks = put_key._blocks(call.command.data[1:])
    with patch.object(put_key, "_blocks", lambda _: [replace(block, size=blocks[0].size) for block in blocks]):
        return right(card, call)


def check_values_but(count: int) -> AbstractContextManager[object]:
    """Only the first ``count`` bytes of the check values are compared."""
    return patch.object(put_key, "compare_digest", lambda one, other: one[:count] == other[:count])


def a_wrong_one_costs_the_channel(right: Handler, card: CardState, call: Call) -> ResponseApdu:
    try:
        return right(card, call)
    except Decline:
        card.session.channel = None
        raise


def a_wrong_one_takes_a_try(right: Handler, card: CardState, call: Call) -> ResponseApdu:
    try:
        return right(card, call)
    except Decline as declined:
        if declined.sw == 0x9485:
            put(card, scp_tries=0)
        raise


def a_wrong_one_is_stored(right: Handler, card: CardState, call: Call) -> ResponseApdu:
    with patch.object(put_key, "compare_digest", lambda *_: True):
        answer = right(card, call)
    if b"".join(block.check for block in put_key._blocks(call.command.data[1:])) != answer.data[1:]:
        raise Decline(0x9485)
    return answer


def channel_stays(right: Handler, card: CardState, call: Call) -> ResponseApdu:
    channel = card.session.channel
    answer = right(card, call)
    card.session.channel = channel
    return answer


def answer_in_clear(right: Handler, card: CardState, call: Call) -> ResponseApdu:
    return ResponseApdu(right(card, call).data[:1])


def sequence_begins_anew(right: Handler, card: CardState, call: Call) -> ResponseApdu:
    answer = right(card, call)
    put(card, scp_sequence=0)
    return answer


def tries_are_gone(right: Handler, card: CardState, call: Call) -> ResponseApdu:
    answer = right(card, call)
    put(card, scp_tries=SCP_TRIES - 2)
    return answer


def begins_personalization(right: Handler, card: CardState, call: Call) -> ResponseApdu:
    answer = right(card, call)
    put(card, life_cycle=LifeCycle.PERSONALIZATION)
    return answer


def begins_anew(right: Handler, card: CardState, call: Call) -> ResponseApdu:
    answer = right(card, call)
    put(card, stored=0x80 & card.cells.stored.number())
    return answer


def filling_is_zeros() -> AbstractContextManager[object]:
    """A key of 24 bytes has to be filled up with zeros."""

    def decrypt(key: bytes, iv: bytes, secret: bytes) -> bytes:
        plain = cbc_decrypt(key, iv, secret)
        if len(secret) == 32 and plain[:2] in (NEW.enc[:2], NEW.mac[:2], NEW.dek[:2]) and plain[24] not in (0, 0x78):
            raise Decline(0x6A80)
        return plain

    return patch("applet_model.put_key.cbc_decrypt", decrypt)


def in_two_transactions(right: Handler, card: CardState, call: Call) -> ResponseApdu:
    """The DEK comes in a transaction of its own."""
    before = card.cells.static_dek.get()
    answer = right(card, call)
    dek = card.cells.static_dek.get()
    put(card, static_dek=before)
    put(card, static_dek=dek)
    return answer


WRONG: list[tuple[str, Broken]] = [
    ("PUT KEY 1", changed(any_version_to_replace)),
    ("PUT KEY 1", changed(zero_replaces_any)),
    ("PUT KEY 2", two_keys_will_do),
    ("PUT KEY 2", bytes_behind_are_passed_over),
    ("PUT KEY 2", any_type),
    ("PUT KEY 2", length_is_not_looked_at),
    ("PUT KEY 2", any_check_size),
    ("PUT KEY 3", lambda: patch.object(put_key, "_VERSIONS", range(0x80))),
    ("PUT KEY 3", lambda: patch.object(put_key, "_VERSIONS", range(1, 0x100))),
    ("PUT KEY 1", lambda: patch.object(put_key, "_VERSIONS", range(2, 0x80))),
    ("PUT KEY 3", lambda: patch.object(put_key, "_VERSIONS", range(1, 0x7F))),
    ("PUT KEY 3", changed(mixed_sizes)),
    ("PUT KEY 4", lambda: check_values_but(0)),
    ("PUT KEY 4", lambda: check_values_but(6)),
    ("PUT KEY 4", changed(a_wrong_one_is_stored)),
    ("PUT KEY 4", changed(a_wrong_one_takes_a_try)),
    ("PUT KEY", changed(keep("static_enc"))),
    ("PUT KEY", changed(keep("static_mac"))),
    ("PUT KEY", changed(keep("static_dek"))),
    ("PUT KEY", changed(keep("key_size"))),
    ("PUT KEY", changed(keep("key_version"))),
    ("PUT KEY", changed(channel_stays)),
    ("PUT KEY", changed(answer_in_clear)),
    ("PUT KEY", changed(sequence_begins_anew)),
    ("PUT KEY", changed(tries_are_gone)),
    ("PUT KEY", changed(begins_personalization)),
    ("PUT KEY", changed(begins_anew)),
    ("PUT KEY", filling_is_zeros),
    ("PUT KEY", changed(in_two_transactions)),
]


@pytest.mark.parametrize(("clause", "broken"), WRONG)
def test_they_bite(clause: str, broken: Broken) -> None:
    assert clause in failing_clauses(OURS, broken)


def test_a_wrong_one_that_ends_the_channel_is_told_at_each_check() -> None:
    broken = changed(a_wrong_one_costs_the_channel)
    assert failing_clauses(OURS, broken) >= {"PUT KEY 1", "PUT KEY 2", "PUT KEY 3", "PUT KEY 4"}
