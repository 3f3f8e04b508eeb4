"""Cards that are wrong in one way each: the model with one rule broken, while the twin keeps it.

Each names the clause of the specification that it breaks; the suite must fail there.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from unittest.mock import patch

from apdu.commands import Ins
from apdu.proof import BLOCK_BITS, Proof, inner_hash, leaf_hash
from apdu.protocol import Protocol
from apdu.response import ResponseApdu
from applet_model.backing import MemoryBacking
from applet_model.card import SmartCard
from applet_model.card_state import Call, CardState
from applet_model.decline import Decline
from applet_model.dispatch import HANDLERS
from applet_model.memory_map import blank_image
from saifu.conformance.issuer import CHIP

__all__ = [
    "MUTANTS",
    "Broken",
    "Handler",
    "Mutant",
    "MutantCard",
    "Mutants",
    "always_left",
    "handler",
    "mutant",
    "never",
    "other_word",
    "put",
    "unsigned",
]

Handler = Callable[[CardState, Call], ResponseApdu]
Broken = Callable[[], AbstractContextManager[object]]


@dataclass(frozen=True, slots=True)
class Mutant:
    """What is wrong, the clause that it breaks, and how: in force only while the card itself works."""

    name: str
    clause: str
    broken: Broken


class MutantCard(SmartCard):
    """A card with one rule broken."""

    def __init__(self, mutant: Mutant, protocol: Protocol = Protocol.T1) -> None:
        self._mutant = mutant
        super().__init__(MemoryBacking(blank_image(CHIP, 16, 4)), protocol=protocol)

    def power_on(self) -> bytes:
        with self._mutant.broken():
            return super().power_on()

    def transmit(self, command: bytes) -> bytes:
        with self._mutant.broken():
            return super().transmit(command)


class Mutants(list[Mutant]):
    """Wrong cards, each added by the function that breaks it."""

    def wrong(self, clause: str, name: str) -> Callable[[Broken], Broken]:
        """Add one."""

        def add(broken: Broken) -> Broken:
            self.append(Mutant(name, clause, broken))
            return broken

        return add


MUTANTS = Mutants()
mutant = MUTANTS.wrong


def handler(ins: Ins, change: Callable[[Handler, CardState, Call], ResponseApdu]) -> AbstractContextManager[object]:
    """Another handler for a command; it is given the right one."""
    right = HANDLERS[ins]
    return patch.dict(HANDLERS, {ins: lambda card, call: change(right, card, call)})


def never(module: object, name: str, result: object = None) -> AbstractContextManager[object]:
    """A check that is not made."""
    return patch.object(module, name, lambda *_: result)


def put(card: CardState, **cells: int | bytes) -> None:
    with card.cells.memory.transaction() as tx:
        for name, value in cells.items():
            tx.put(getattr(card.cells, name), value)


def always_left() -> AbstractContextManager[object]:
    """The way to the root of a proof passes every fork from its left."""

    def root(proof: Proof, serial: int) -> bytes:
        node = leaf_hash(serial >> BLOCK_BITS, proof.bitmap)
        for sibling in proof.siblings:
            node = inner_hash(node, sibling)
        return node

    return patch.object(Proof, "root", root)


@contextmanager
def unsigned() -> Iterator[None]:
    """Nobody's signature is looked at."""
    with patch.object(CardState, "check_signature", lambda _card, signed, _point, _sw: signed.body):
        yield


def other_word(right: Handler, card: CardState, call: Call, word: int, other: int) -> ResponseApdu:
    """What the right handler answers, but for one status word."""
    try:
        return right(card, call)
    except Decline as declined:
        raise Decline(other if declined.sw == word else declined.sw) from None
