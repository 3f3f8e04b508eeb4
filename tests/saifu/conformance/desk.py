"""Cards of the model whose every exchange is recorded, with their images of before."""

from collections.abc import Callable
from pathlib import Path

from apdu.commands import Ins
from apdu.payload import Tag
from apdu.protocol import Protocol
from applet_model.backing import MemoryBacking
from applet_model.card import SmartCard
from applet_model.memory_map import ChipKeys, blank_image
from host.model import ModelSlot
from host.recording import RecordingSlot, TraceFile
from host.replay import Recording, load
from saifu.conformance.issuer import CHIP, STATIC
from saifu.conformance.stand import Stand
from saifu.conformance.subject import Subject
from tests.saifu.conformance.cards import ISSUER

__all__ = ["Desk", "active_desk", "blank", "life"]


class Desk:
    """One card whose every exchange is recorded."""

    def __init__(self, folder: Path, image: bytes, protocol: Protocol = Protocol.T1) -> None:
        self.before, self._memory = image, MemoryBacking(image)
        self.path = folder / f"trace {protocol.value}.jsonl"
        self.path.unlink(missing_ok=True)
        self.card = SmartCard(self._memory, protocol=protocol)
        self.model = ModelSlot("card", self.card)

    @property
    def image(self) -> bytes:
        """The card's memory now."""
        return self._memory.image()

    def record(self, business: Callable[[RecordingSlot], object]) -> Recording:
        with TraceFile(self.path, "test") as trace:
            business(RecordingSlot(self.model, trace))
        return load(str(self.path))


def blank(history: int = 16, unsettled: int = 4, chip: ChipKeys = CHIP) -> bytes:
    return blank_image(chip, history, unsettled)


def life(slot: RecordingSlot) -> None:
    """A stand asks the card what it is, makes a purse of it, and does business with it."""
    stand = Stand(Subject(slot, ISSUER, STATIC))
    stand.personalize()
    stand.ready(20_000)
    paid = stand.paid(stand.asked_by(stand.other(), 1000))
    stand.card.send(Ins.GIVE_AGAIN, {Tag.COUNTER: paid.value.body.counter.to_bytes(4)})
    stand.card.send(Ins.ATTEST, {Tag.CHALLENGE: bytes(16)})
    stand.lock_out()
    stand.audit()
    stand.unlock()
    stand.audit()


def business(stand: Stand) -> None:
    """Money both ways, an attestation, and everything that can be read."""
    stand.card.fresh()
    stand.take(100)
    stand.give(50)
    stand.card.send(Ins.ATTEST, {Tag.CHALLENGE: bytes(16)})
    stand.audit()


def active_desk(folder: Path) -> Desk:
    """A purse, and a trace of what is done with it after its image was taken."""
    maker = Desk(folder, blank())
    stand = Stand(Subject(maker.model, ISSUER, STATIC))
    stand.personalize()
    stand.ready(20_000)
    desk = Desk(folder, maker.image)
    desk.record(lambda slot: business(Stand(Subject(slot, ISSUER, STATIC))))
    return desk
