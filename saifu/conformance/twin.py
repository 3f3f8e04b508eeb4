"""The model in a card's place: it answers as that card should, but for what only the card itself can know.

The card's random numbers and private key are its own. Where they would stand the twin gives a mark that nobody
else can have made; the oracle knows by it where the card is free, and what must hold there.
"""

from dataclasses import dataclass
from enum import Enum
from hashlib import sha512

from apdu.errors import MisbehaviourError
from apdu.identity import LifeCycle
from apdu.messages import Value
from apdu.objects import CenterKey
from apdu.protocol import Protocol
from applet_model.backing import MemoryBacking
from applet_model.card import SmartCard
from applet_model.key_pair import KeyPair
from applet_model.memory import Cell
from applet_model.memory_map import MemoryMap
from host.session import PurseSession

__all__ = ["MARK_SIZES", "Free", "Mark", "Twin"]

_NONCE_SIZE = 8


class Free(Enum):
    """What a card chooses itself."""

    NONCE = "nonce"
    POINT = "public key"
    SIGNATURE = "signature"


MARK_SIZES = {Free.NONCE: _NONCE_SIZE, Free.POINT: 64, Free.SIGNATURE: 64}
"""Bytes of each."""


@dataclass(frozen=True, slots=True)
class Mark:
    """One place where the card is free: of what kind, and the message that is signed, or the pair that is meant."""

    kind: Free
    about: bytes = b""


class _ForeignKeyPair(KeyPair):
    """Stands for key pairs of which the public key alone is known, once the card has told it."""

    def __init__(self) -> None:
        super().__init__()
        self.points: dict[bytes, bytes] = {}
        self.marks: dict[bytes, Mark] = {}
        self._drawn = 0

    def draw(self, size: int) -> bytes:
        """Bytes that no card has drawn."""
        self._drawn += 1
        return sha512(b"drawn by the twin" + self._drawn.to_bytes(8)).digest()[:size]

    def random(self, size: int) -> bytes:
        """A nonce: the only random number that a card draws beside its keys."""
        return self._mark(self.draw(size), Mark(Free.NONCE))

    def generate(self, random: object) -> bytes:
        """A pair that is not there."""
        del random
        return self.draw(32)

    def point(self, stored: bytes) -> bytes:
        """The card's public key, or a mark until it is known."""
        known = self.points.get(stored)
        return known or self._mark(sha512(b"public key" + stored).digest(), Mark(Free.POINT, stored))

    def sign(self, stored: bytes, message: bytes) -> bytes:
        """A mark in the place of the signature; the same for the same message."""
        return self._mark(sha512(b"signature" + stored + message).digest(), Mark(Free.SIGNATURE, message))

    def _mark(self, mark: bytes, meaning: Mark) -> bytes:
        self.marks[mark] = meaning
        return mark


class Twin(SmartCard):
    """A card of the model with the memory of another card, as far as it is known."""

    def __init__(self, image: bytes, protocol: Protocol = Protocol.T1) -> None:
        """``image`` is that of a blank card with the same keys and capacities, or of the card itself."""
        self._pair, self._image = _ForeignKeyPair(), MemoryBacking(image)
        super().__init__(self._image, self._pair.random, protocol, self._pair)
        self.cells = MemoryMap.open(self._image)
        self.power_on()
        if self.cells.life_cycle.number() not in (LifeCycle.BLANK, LifeCycle.PERSONALIZATION):
            self.learn_point(self.cells.certificate.get()[-64 - 64 : -64])

    @property
    def marks(self) -> dict[bytes, Mark]:
        """Every mark that was given, and what it stands for."""
        return self._pair.marks

    @property
    def point(self) -> bytes | None:
        """The card's public key, if it is known."""
        return self._pair.points.get(self.cells.private_key.get())

    def put(self, **cells: bytes | int) -> None:
        """Set cells of the memory by name."""
        with self.cells.memory.transaction() as tx:
            for name, value in cells.items():
                tx.put(getattr(self.cells, name), value)

    def learn_point(self, point: bytes) -> None:
        """The card has told the public key of the pair that it holds now."""
        self._pair.points[self.cells.private_key.get()] = point

    def learn_nonce(self, mark: bytes, nonce: bytes) -> None:
        """The card has told the nonce of its request."""
        self.put(request=self.cells.request.get().replace(mark, nonce))

    def learn_sequence(self, sequence: int) -> None:
        """The card has told how often a secure channel was begun."""
        self.put(scp_sequence=sequence)

    def adopt(self, card: PurseSession, keys: tuple[CenterKey, ...], pin: bytes, resetting_code: bytes) -> None:
        """Take over whatever the selected, personalized card tells of itself; the codes must be known.

        What no command tells stays as it was: the floor of requests, and the keys of unsettled transfers.
        Raises what the session raises.
        """
        self._adopt_issuer_data(card, keys)
        counters, (credit, used) = card.get_counters(), card.get_credit()
        codes, head = card.get_reference_data(), card.get_head()
        status = card.selected.status
        self.put(
            life_cycle=status.state, balance=status.balance, edition=status.edition,
            payments=counters.payments, request_open=counters.open, record=counters.record, chain=counters.chain,
            chain_before=counters.chain_before, date=counters.date, without_pin=counters.without_pin,
            credit=credit.raw, used_count=used.count, used_amount=used.amount,
            pin=pin, puk=resetting_code, pin_tries=codes.pin_tries, puk_tries=codes.puk_tries,
            head_known=int(head is not None),
        )  # fmt: skip
        if head is not None:
            self.put(head=head.raw)
        if self.cells.request_number.number() != counters.requests:
            self.put(request=counters.requests.to_bytes(4).ljust(self.cells.request.size, b"\0"))
        self._adopt_history(card, counters.record)
        self._adopt_unsettled(card)

    def _adopt_issuer_data(self, card: PurseSession, keys: tuple[CenterKey, ...]) -> None:
        certificate = card.get_certificate()
        self.put(parameters=card.get_parameters().encode(), certificate=certificate.raw)
        for cell, key in zip(self.cells.center_keys, keys, strict=False):
            self._put_cell(cell, key.encode())
        self.learn_point(certificate.body.point)
        self.power_on()  # what was decoded from the memory before is forgotten

    def _adopt_history(self, card: PurseSession, newest: int) -> None:
        for record in card.history(self.cells.history_capacity):
            self._put_cell(self.cells.records[(record.number - 1) % self.cells.history_capacity], record.encode())
        self.put(record=newest)

    def _adopt_unsettled(self, card: PurseSession) -> None:
        """Transfers that the twin knows stay; others are given again, without the key of their payee."""
        waiting = {entry.counter for entry in card.get_unsettled()}
        if len(waiting) > self.cells.unsettled_capacity:
            places = self.cells.unsettled_capacity
            raise MisbehaviourError(f"GET DATA 0106: {len(waiting)} transfers in {places} places")
        for used, value in zip(self.cells.unsettled_used, self.cells.unsettled_value, strict=True):
            if used.number() and (known := Value.decode(value.get()[: Value.SIZE]).counter) in waiting:
                waiting.discard(known)
            else:
                self._put_cell(used, 0)
        for counter in sorted(waiting):
            self._keep(card, counter)

    def _keep(self, card: PurseSession, counter: int) -> None:
        """A locked-out card gives no value again: its transfers stay unknown."""
        if card.selected.status.state is not LifeCycle.ACTIVE:
            return
        place = [used.number() for used in self.cells.unsettled_used].index(0)
        self._put_cell(self.cells.unsettled_value[place], card.give_again(counter).value.raw)
        self._put_cell(self.cells.unsettled_used[place], 1)

    def _put_cell(self, cell: Cell, value: bytes | int) -> None:
        with self.cells.memory.transaction() as tx:
            tx.put(cell, value)
