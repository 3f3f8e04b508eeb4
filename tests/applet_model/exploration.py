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
from apdu.identity import AID, CardId
from apdu.objects import Kind, Request
from apdu.payload import Tag, unpack
from apdu.response import ResponseApdu
from apdu.status import StatusWord
from applet_model.backing import MemoryBacking
from applet_model.card import SmartCard
from applet_model.memory import JOURNAL_SIZE
from tests.applet_model.ledger import Seen
from tests.applet_model.purses import ISSUER, Purse, command, personalized
from tests.issuer import EUR, FAR, NOW

__all__ = ["Exploration"]

_AMOUNT = (1).to_bytes(4)
_ON_TIME, _TOO_LATE = NOW.to_bytes(4), (FAR + 1).to_bytes(4)
"""A terminal's date may make a payee refuse: the payer's certificate seems to be out of date."""
_SELECT = CommandApdu(0x00, Ins.SELECT, 0x04, 0x0C, AID).encode()
_JOURNAL = slice(16, 16 + JOURNAL_SIZE)
_SAID = (Tag.REQUEST, Tag.VALUE, Tag.RECEIPT, Tag.REFUSAL)


@dataclass(frozen=True, slots=True)
class Message:
    """Something that was said, and by which card."""

    tag: Tag
    by: int
    raw: bytes


State = tuple[tuple[bytes, ...], frozenset[Message]]
Step = tuple[int, CommandApdu]


def _settled(image: bytes) -> bytes:
    """The memory without what is left in a journal that is done with."""
    return image[: _JOURNAL.start] + bytes(JOURNAL_SIZE) + image[_JOURNAL.stop :]


class Exploration:
    """All that ``purses`` cards can come to, each opening and paying ``transfers`` requests."""

    def __init__(self, purses: int, transfers: int) -> None:
        self.transfers = transfers
        images = [
            _settled(personalized(i + 1, initial=transfers, history=8, unsettled=2, balance_max=100))
            for i in range(purses)
        ]
        self.ids = [ISSUER.id(i + 1) for i in range(purses)]
        self.certificates = [Purse(image).session().get_certificate().raw for image in images]
        made_up = {
            Message(Tag.REQUEST, i, Request(number, bytes(8), 1, EUR).encode())
            for i in range(purses)
            for number in range(1, transfers + 1)
        }
        self.start: State = (tuple(images), frozenset(made_up))
        self.issued = purses * transfers
        self.states: dict[State, tuple[State, Step] | None] = {self.start: None}
        self._executed: dict[tuple[bytes, bytes], tuple[bytes, ResponseApdu]] = {}
        self._looks: dict[bytes, Seen] = {}

    def violation(self) -> list[str] | None:
        """Search; the shortest way to a state in which money was made or lost, or None."""
        waiting = deque([self.start])
        while waiting:
            state = waiting.popleft()
            for step in self._steps(state):
                after = self._after(state, step)
                if after in self.states:
                    continue
                self.states[after] = (state, step)
                if not self._conserved(after):
                    return self._way(after)
                waiting.append(after)
        return None

    def _steps(self, state: State) -> Iterator[Step]:
        """Every command that could do something."""
        images, known = state
        for i, image in enumerate(images):
            told = self._look(image).counters
            if told.requests < self.transfers:
                for payer in self.ids[:i] + self.ids[i + 1 :]:
                    yield i, command(Ins.REQUEST, {Tag.AMOUNT: _AMOUNT, Tag.CARD_ID: payer, Tag.DATE: _ON_TIME})
            for message in known:
                if message.by != i and (message.tag is not Tag.REQUEST or told.payments < self.transfers):
                    yield from ((i, wanted) for wanted in self._deliver(message, self.ids[i]))

    def _deliver(self, message: Message, to: CardId) -> Iterator[CommandApdu]:
        """The commands that bring a message, if it is for this card."""
        tag, raw, certificate = message.tag, message.raw, self.certificates[message.by]
        if tag is Tag.REQUEST:
            yield command(Ins.PAY, {Tag.CERTIFICATE: certificate, tag: raw, Tag.DATE: _ON_TIME})
        elif tag is Tag.VALUE and raw[11:17] == to:
            for date in (_ON_TIME, _TOO_LATE):
                yield command(Ins.RECEIVE, {Tag.CERTIFICATE: certificate, tag: raw, Tag.DATE: date})
        elif tag in (Tag.RECEIPT, Tag.REFUSAL) and raw[1:7] == to:
            yield command(Ins.SETTLE, {tag: raw})

    def _after(self, state: State, step: Step) -> State:
        images, known = state
        i, wanted = step
        image, answer = self._execute(images[i], i, wanted.encode())
        if answer.sw == StatusWord.OK and answer.data:
            objects = unpack(answer.data, (), (Tag.CERTIFICATE, *_SAID))
            known |= {Message(tag, i, objects[tag]) for tag in _SAID if tag in objects}
        return (*images[:i], image, *images[i + 1 :]), known

    def _execute(self, image: bytes, i: int, wanted: bytes) -> tuple[bytes, ResponseApdu]:
        if (image, wanted) not in self._executed:
            backing = MemoryBacking(image)
            seed = self.ids[i] + self._look(image).counters.requests.to_bytes(4)
            card = SmartCard(backing, lambda size: sha256(seed).digest()[:size])
            card.power_on()
            card.transmit(_SELECT)
            answer = ResponseApdu.decode(card.transmit(wanted))
            self._executed[image, wanted] = (_settled(backing.image()), answer)
        return self._executed[image, wanted]

    def _look(self, image: bytes) -> Seen:
        if image not in self._looks:
            self._looks[image] = Seen.of(image)
        return self._looks[image]

    def _conserved(self, state: State) -> bool:
        """Balances, and unsettled money that its payee has not received, are what was issued."""
        looks = dict(zip(self.ids, map(self._look, state[0]), strict=True))
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
        """The commands that lead to a state, as ``card 2: PAY``."""
        way = []
        while before := self.states[state]:
            state, (i, wanted) = before
            way.append(f"card {i + 1}: {Ins(wanted.ins).name}")
        return way[::-1]
