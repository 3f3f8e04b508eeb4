"""Breadth-first search of the real applet: every state that the cards' memories can reach.

A state is the memory of each card and the set of messages that were ever said. Whoever carries messages may
lose, repeat, reorder and make them up: so any of them may come, at any time or never. What a card does depends
on its own memory and the command alone, so each such pair is executed once. Nonces come from the request's
number, and the signature of a message is always the same, so equal states are equal bytes.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256

from apdu.command import CommandApdu
from apdu.commands import Ins
from apdu.identity import AID
from apdu.objects import Kind, Request
from apdu.payload import Tag, unpack
from apdu.response import ResponseApdu
from apdu.status import StatusWord
from applet_model.backing import MemoryBacking
from applet_model.card import SmartCard
from applet_model.memory import JOURNAL_SIZE, Cell
from applet_model.memory_map import MemoryMap
from tests.applet_model.ledger import Seen
from tests.applet_model.purses import ISSUER, Purse, command, personalized
from tests.issuer import EUR, FAR, NOW

__all__ = ["Exploration"]

_AMOUNT = (1).to_bytes(4)
_ON_TIME, _TOO_LATE = NOW.to_bytes(4), (FAR + 1).to_bytes(4)
"""A terminal's date may make a payee refuse: the payer's certificate seems to be out of date."""
_SELECT = CommandApdu(0x00, Ins.SELECT, 0x04, 0x0C, AID).encode()
_HISTORY, _UNSETTLED = 8, 2
_LAYOUT = MemoryMap(MemoryBacking(b""), _HISTORY, _UNSETTLED)
_JOURNAL = Cell(MemoryBacking(b""), 16, JOURNAL_SIZE)
_SAID = (Tag.REQUEST, Tag.VALUE, Tag.RECEIPT, Tag.REFUSAL)


@dataclass(frozen=True, slots=True)
class Message:
    """Something that was said, and by which card."""

    tag: Tag
    by: int
    raw: bytes


State = tuple[tuple[int, ...], int]
"""The memory of each card, and a bit for each message that was said; numbers as Exploration gives them."""
Move = tuple[int, int, int]
"""The message that a command brings, the card's memory after it, and what the card said."""


def _living(image: bytes) -> bytes:
    """The memory without what is left in the journal, and in places of transfers that have ended."""
    dead = [_JOURNAL]
    for place, used in enumerate(_LAYOUT.unsettled_used):
        if not image[used.offset]:
            dead += [_LAYOUT.unsettled_value[place], _LAYOUT.unsettled_point[place]]
    for cell in dead:
        image = image[: cell.offset] + bytes(cell.size) + image[cell.offset + cell.size :]
    return image


class Exploration:
    """All that ``purses`` cards can come to, each opening and paying up to ``transfers`` requests."""

    def __init__(self, purses: int, transfers: int) -> None:
        self.transfers, self.issued = transfers, purses * transfers
        images = [
            personalized(i + 1, initial=transfers, history=_HISTORY, unsettled=_UNSETTLED, balance_max=100)
            for i in range(purses)
        ]
        self.ids = [ISSUER.id(i + 1) for i in range(purses)]
        self.certificates = [Purse(image).session().get_certificate().raw for image in images]
        self._images: dict[bytes, int] = {}
        self._looks: list[Seen] = []
        self._backings: list[bytes] = []
        self._messages: list[Message] = []
        self.executed = 0
        self._tried: dict[tuple[int, int], int] = {}
        self._found: dict[tuple[int, int], list[Move]] = {}
        memories = tuple(self._number(image) for image in images)
        self.start: State = self._heard(memories, self._made_up())
        self.states: dict[State, State] = {}

    def _made_up(self) -> int:
        """Requests that no card has opened, or not yet: with each number, and a nonce of zeros."""
        known = 0
        for i in range(len(self.ids)):
            for number in range(1, self.transfers + 1):
                known |= self._bit(Message(Tag.REQUEST, i, Request(number, bytes(8), 1, EUR).encode()))
        return known

    def _number(self, image: bytes) -> int:
        """The number of a memory; the first one of its kind, remains and all, stands for the others."""
        key = _living(image)
        if key not in self._images:
            self._images[key] = len(self._images)
            self._backings.append(image)
            self._looks.append(Seen.of(image))
        return self._images[key]

    def _bit(self, message: Message) -> int:
        if message not in self._messages:
            self._messages.append(message)
        return 1 << self._messages.index(message)

    def violation(self) -> list[str] | None:
        """Search; the shortest way to a state in which money was made or lost, or None."""
        self.states = {self.start: self.start}
        waiting = deque([self.start])
        while waiting:
            state = waiting.popleft()
            for after in self._next(state):
                if after not in self.states:
                    self.states[after] = state
                    if not self._conserved(after[0]):
                        return self._way(after)
                    waiting.append(after)
        return None

    def _next(self, state: State) -> Iterator[State]:
        """Every state that one more command leads to."""
        memories, known = state
        for i, memory in enumerate(memories):
            for needed, after, said in self._moves(i, memory, known):
                if after != memory and needed & known == needed:
                    yield self._heard((*memories[:i], after, *memories[i + 1 :]), known | said)

    def _heard(self, memories: tuple[int, ...], known: int) -> State:
        """Add all that cards say without changing: who knows more can do no less, so nothing is left out."""
        said = known
        for i, memory in enumerate(memories):
            for needed, after, more in self._moves(i, memory, known):
                if after == memory and needed & known == needed:
                    said |= more
        return (memories, said) if said == known else self._heard(memories, said)

    def _moves(self, i: int, memory: int, known: int) -> list[Move]:
        """What card ``i`` can be made to do; each message is tried once on each memory."""
        if (i, memory) not in self._found:
            moves = [(0, *self._execute(memory, i, wanted)) for wanted in self._open(i)]
            self._tried[i, memory], self._found[i, memory] = 0, moves
        new = known & ~self._tried[i, memory]
        for number in range(new.bit_length()):
            if new >> number & 1:
                for wanted in self._deliver(self._messages[number], i, memory):
                    self._found[i, memory].append((1 << number, *self._execute(memory, i, wanted)))
        self._tried[i, memory] |= new
        return self._found[i, memory]

    def _open(self, i: int) -> Iterator[CommandApdu]:
        """REQUEST, from any other card."""
        for payer in self.ids[:i] + self.ids[i + 1 :]:
            yield command(Ins.REQUEST, {Tag.AMOUNT: _AMOUNT, Tag.CARD_ID: payer, Tag.DATE: _ON_TIME})

    def _deliver(self, message: Message, i: int, memory: int) -> Iterator[CommandApdu]:
        """The commands that bring a message, if it is for this card."""
        to, tag, raw, certificate = self.ids[i], message.tag, message.raw, self.certificates[message.by]
        if tag is Tag.REQUEST and message.by != i:
            yield command(Ins.PAY, {Tag.CERTIFICATE: certificate, tag: raw, Tag.DATE: _ON_TIME})
        elif tag is Tag.VALUE and raw[11:17] == to:
            is_open = self._looks[memory].counters.open
            for date in (_ON_TIME, _TOO_LATE) if is_open else (_ON_TIME,):
                yield command(Ins.RECEIVE, {Tag.CERTIFICATE: certificate, tag: raw, Tag.DATE: date})
        elif tag in (Tag.RECEIPT, Tag.REFUSAL) and raw[1:7] == to:
            yield command(Ins.SETTLE, {tag: raw})

    def _execute(self, memory: int, i: int, wanted: CommandApdu) -> tuple[int, int]:
        """Run the real card; its counters bound the search, by leaving out what would count too far."""
        told = self._looks[memory].counters
        spent = {Ins.REQUEST: told.requests, Ins.PAY: told.payments}.get(Ins(wanted.ins), 0)
        if spent == self.transfers:
            return memory, 0
        self.executed += 1
        backing = MemoryBacking(self._backings[memory])
        seed = self.ids[i] + told.requests.to_bytes(4)
        card = SmartCard(backing, lambda size: sha256(seed).digest()[:size])
        card.power_on()
        card.transmit(_SELECT)
        answer = ResponseApdu.decode(card.transmit(wanted.encode()))
        said = 0
        if answer.sw == StatusWord.OK and answer.data:
            objects = unpack(answer.data, (), (Tag.CERTIFICATE, *_SAID))
            for tag in objects.keys() & set(_SAID):
                said |= self._bit(Message(tag, i, objects[tag]))
        return self._number(backing.image()), said

    def _conserved(self, memories: tuple[int, ...]) -> bool:
        """Balances, and unsettled money that its payee has not received, are what was issued."""
        looks = dict(zip(self.ids, (self._looks[memory] for memory in memories), strict=True))
        doubt = sum(
            entry.amount
            for payer, seen in looks.items()
            for entry in seen.unsettled
            if not any(
                (record.kind, record.other, record.counter) == (Kind.RECEIVED, payer, entry.counter)
                for record in looks[entry.payee].window
            )
        )
        return sum(seen.balance for seen in looks.values()) + doubt == self.issued

    def _way(self, state: State) -> list[str]:
        """What the cards came through on the way to a state, shortest first."""
        way = []
        while state != self.start:
            before = self.states[state]
            way.append(self._change(before[0], state[0]))
            state = before
        return way[::-1]

    def _change(self, before: tuple[int, ...], after: tuple[int, ...]) -> str:
        """Which card changed, and how: as ``card 2: balance 1, unsettled 1, request closed``."""
        i = next(i for i in range(len(before)) if before[i] != after[i])
        seen = self._looks[after[i]]
        is_open = "open" if seen.counters.open else "closed"
        return f"card {i + 1}: balance {seen.balance}, unsettled {len(seen.unsettled)}, request {is_open}"
