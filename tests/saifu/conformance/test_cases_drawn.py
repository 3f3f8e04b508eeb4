"""The cases on what cards draw at random hold on the model, and bite where two cards draw the same."""

import os
from collections.abc import Callable
from hashlib import sha256

import pytest

from apdu.commands import Ins
from apdu.protocol import Protocol
from apdu.signature import ORDER, point_of, private_key
from applet_model.backing import MemoryBacking
from applet_model.card import SmartCard
from applet_model.key_pair import KeyPair
from applet_model.memory_map import blank_image
from saifu.conformance import cases_f_drawn
from saifu.conformance.case import Case
from saifu.conformance.issuer import CHIP
from saifu.conformance.running import Outcome, Running, failures
from saifu.conformance.stand import Stand
from tests.saifu.conformance.cards import blank_card, stand_of
from tests.saifu.conformance.case_runs import CARDS, cases_of, failed

OURS = cases_of(cases_f_drawn)
KEY_SIZE, NONCE_SIZE = 40, 8


def business(stand: Stand) -> None:
    """A card makes a key pair, draws nonces and signs."""
    stand.ready()


SPENT = [Case("Life cycle", "another card does business before", spare=True, state=OURS[1].state, run=business)]


def counted(size: int) -> Callable[[int], bytes]:
    """What has that many bytes is the same in each card, one after the other; all else is random."""
    numbers = iter(range(1 << 32))

    def random(wanted: int) -> bytes:
        drawn = sha256(next(numbers).to_bytes(4)).digest() * 2 if wanted == size else os.urandom(wanted)
        return drawn[:wanted]

    return random


class CountedSignatures(KeyPair):
    """The random number of a signature is the same in each card, one after the other."""

    def __init__(self) -> None:
        super().__init__()
        self._signed = 0

    def sign(self, stored: bytes, message: bytes) -> bytes:
        self._signed += 1
        drawn, key = int.from_bytes(sha256(self._signed.to_bytes(4)).digest()) % ORDER, int.from_bytes(stored)
        r = int.from_bytes(point_of(private_key(drawn.to_bytes(32)))[:32]) % ORDER
        s = pow(drawn, -1, ORDER) * (int.from_bytes(sha256(message).digest()) + r * key) % ORDER
        return r.to_bytes(32) + s.to_bytes(32)


def wrong(random: Callable[[int], bytes] = os.urandom, key_pair: KeyPair | None = None) -> SmartCard:
    return SmartCard(MemoryBacking(blank_image(CHIP, 16, 4)), random, Protocol.T1, key_pair)


def halved(wanted: int) -> bytes:
    """A nonce has half of the random bytes that it should have."""
    return os.urandom(wanted // 2) * 2 if wanted == NONCE_SIZE else os.urandom(wanted)


WRONG: dict[str, tuple[str, Callable[[], SmartCard]]] = {
    "each card makes the same keys": ("a card makes no key pair", lambda: wrong(counted(KEY_SIZE))),
    "each card draws the same nonces": ("a card draws no nonce", lambda: wrong(counted(NONCE_SIZE))),
    "signatures are numbered": ("two cards do not sign", lambda: wrong(key_pair=CountedSignatures())),
    "half a nonce, twice": ("no bit of a nonce", lambda: wrong(halved)),
}


@pytest.mark.parametrize("card", CARDS)
def test_they_hold(card: tuple[int, int, Protocol]) -> None:
    assert failed([*SPENT, *OURS], card) == {}


def test_where_no_other_card_was_had_they_are_skipped() -> None:
    results = Running(stand_of(blank_card()), OURS).run()
    skipped = [result.why for result in results if result.outcome is Outcome.SKIPPED]
    assert skipped == ["no other card was had in this run"] * 3


@pytest.mark.parametrize("name", WRONG)
def test_they_bite_and_nothing_else_fails(name: str) -> None:
    title, make = WRONG[name]
    found = [result.case.title for result in failures(Running(stand_of(make(), make), [*SPENT, *OURS]).run())]
    assert [each for each in found if not each.startswith(title)] == []
    assert len(found) == 1


def test_cards_that_come_through_one_reader_are_compared_too() -> None:
    def make() -> SmartCard:
        return wrong(counted(KEY_SIZE))

    running = Running(stand_of(make(), make), [*SPENT, *OURS], afresh=lambda: stand_of(make()))
    assert [result.case.ins for result in failures(running.run())] == [Ins.GENERATE_KEY_PAIR]
