"""Sessions with real cards, kept as items of a trace; and ways to spoil what a card has answered."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from apdu.commands import Ins
from apdu.trace.inspector import inspect
from apdu.trace.model import Exchange, Item, Reset
from apdu.trace.reading import Reading, summary
from host.model import ModelSlot
from host.session import PurseSession
from tests.issuer import NOW


@dataclass
class Tape:
    """Connections to cards that write down what goes over them, across all slots."""

    items: list[Item] = field(default_factory=list)

    def put(self, slot: ModelSlot, name: str) -> "Taped":
        """A card comes into a slot: it is reset."""
        slot.connect()
        self.items.append(Reset(b"", name))
        return Taped(self, slot, name)


@dataclass
class Taped:
    """One card in one slot; is a CardConnection."""

    tape: Tape
    slot: ModelSlot
    name: str

    def transmit(self, command: bytes) -> bytes:
        answer = self.slot.transmit(command)
        self.tape.items.append(Exchange(command, answer, self.name))
        return answer

    def session(self) -> PurseSession:
        return PurseSession(self)


def pay(paying: PurseSession, paid: PurseSession, amount: int) -> None:
    """A whole transfer between selected purses."""
    paying.settle(paid.receive(paying.pay(paid.request(amount, paying.card, NOW), NOW), NOW))


def unexpected(items: Iterable[Item]) -> list[str]:
    """All that stands out."""
    return [text for reading in inspect(items) for text in reading.unexpected]


def readings(items: Iterable[Item]) -> list[Reading]:
    return list(inspect(items))


def lines(items: Iterable[Item]) -> str:
    return "\n".join(summary(reading) for reading in inspect(items))


def last(items: list[Item], ins: Ins) -> int:
    """Where the last exchange with this instruction is."""
    return max(at for at, item in enumerate(items) if isinstance(item, Exchange) and item.command[1] == ins)


def exchange(items: list[Item], at: int) -> Exchange:
    found = items[at]
    assert isinstance(found, Exchange)
    return found


def answered(items: list[Item], ins: Ins, answer: bytes | None) -> list[Item]:
    """The same trace, in which the last such command had another answer."""
    at = last(items, ins)
    return [*items[:at], replace(exchange(items, at), response=answer), *items[at + 1 :]]


def altered(items: list[Item], ins: Ins, old: bytes, new: bytes) -> list[Item]:
    """The same trace with other bytes in the last such answer."""
    answer = exchange(items, last(items, ins)).response
    assert answer is not None
    assert old in answer
    assert len(old) == len(new)
    return answered(items, ins, answer.replace(old, new))
