"""Where the model begins when it follows a trace: protocol, keys, and the memory that the card had then."""

from collections.abc import Iterator
from dataclasses import dataclass

from apdu import ber
from apdu.commands import CHAIN_CAPACITY, Ins
from apdu.errors import FormatError, InputError, SecureChannelError, StoreError
from apdu.identity import LifeCycle
from apdu.objects import Capacities, PurseStatus
from apdu.payload import Tag, unpack
from apdu.protocol import Protocol
from apdu.trace.inspector import Inspector
from apdu.trace.model import Exchange, Reset
from apdu.trace.reading import Listener, Reading
from apdu.trace.whole import whole
from applet_model.backing import MemoryBacking
from applet_model.memory_map import ChipKeys, MemoryMap, blank_image, is_possible
from host.replay import Recording
from host.scp03 import InitializeUpdateAnswer, StaticKeys

__all__ = ["blank_start", "image_keys", "protocol_of", "readings_of"]

_USUAL = (64, 4, CHAIN_CAPACITY)
"""Capacities of a blank card whose trace does not tell them; they matter only when one of them is full."""
_BLANK = (LifeCycle.BLANK, LifeCycle.PERSONALIZATION)
_SELECT = bytes((0x00, Ins.SELECT, 0x04))
_CAPACITIES = bytes((0x00, Ins.GET_DATA, 0x01, 0x07))
_INITIALIZE_UPDATE = bytes((0x80, Ins.INITIALIZE_UPDATE))


def readings_of(recording: Recording, listener: Listener | None = None) -> Iterator[Reading]:
    """Everything that was said to the card, in words; exchanges with their numbers in the trace."""
    inspector = Inspector(listener)
    for session in recording.sessions:
        slot = session.exchanges[0].exchange.slot if session.exchanges else ""
        yield inspector.read(Reset(session.atr, slot))
        for number, said in session.exchanges:
            yield inspector.read(said)._replace(number=number)


def protocol_of(recording: Recording) -> Protocol:
    """The protocol that the first ATR offers first; T=1 where no ATR is known."""
    atr = next((session.atr for session in recording.sessions if session.atr), b"")
    return Protocol.offered_by(atr) if atr else Protocol.T1


def image_keys(image: bytes) -> StaticKeys:
    """The static keys in a card image; raises StoreError when it is none."""
    cells = MemoryMap.open(MemoryBacking(image))
    size = cells.key_size.number()
    try:
        return StaticKeys(*(cell.get()[:size] for cell in (cells.static_enc, cells.static_mac, cells.static_dek)))
    except FormatError:
        raise StoreError("the card image is damaged: its keys have no size that keys have") from None


def blank_start(recording: Recording, keys: StaticKeys) -> bytes:
    """The image of the blank card with which a trace begins: capacities and key information are those of the trace.

    Raises InputError when the card is not blank then, or tells what no card has.
    """
    told = _Told()
    for reading in whole(readings_of(recording)):
        if isinstance(reading.item, Exchange):
            told.hear(reading.item.command, reading.item.response or b"")
    if told.state not in _BLANK:
        raise InputError(
            f"the card is {told.state.text} when the trace begins, and not blank: give its image of then with --model"
        )
    if not is_possible(*told.sizes):
        sizes = "{} records, {} transfers and {} bytes of a chain".format(*told.sizes)
        raise InputError(f"the card tells of {sizes}: no purse has these")
    return told.image(keys)


@dataclass(slots=True)
class _Told:
    """What a card has told of itself; the first of each kind counts."""

    status: PurseStatus | None = None
    capacities: Capacities | None = None
    key_information: InitializeUpdateAnswer | None = None

    def hear(self, command: bytes, response: bytes) -> None:
        """One exchange."""
        if response[-2:] != b"\x90\x00" and response[-2:-1] != b"\x62":
            return
        answer = response[:-2]
        try:
            if command[:3] == _SELECT and self.status is None:
                found = unpack(ber.find(answer, 0x6F, 0xA5), (Tag.STATUS,), (Tag.CARD_ID,))
                self.status = PurseStatus.decode(found[Tag.STATUS])
            elif command[:4] == _CAPACITIES and self.capacities is None:
                self.capacities = Capacities.decode(unpack(answer, (Tag.CAPACITIES,))[Tag.CAPACITIES])
            elif command[:2] == _INITIALIZE_UPDATE and self.key_information is None:
                self.key_information = InitializeUpdateAnswer.decode(answer)
        except (ValueError, FormatError, SecureChannelError):
            return

    @property
    def state(self) -> LifeCycle:
        """State at the first SELECT."""
        return self.status.state if self.status is not None else LifeCycle.BLANK

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Places for history records and for unsettled transfers, and bytes of a chain."""
        told = self.capacities
        return (told.history, told.unsettled, told.chain) if told is not None else _USUAL

    def image(self, keys: StaticKeys) -> bytes:
        """Memory of a blank card that would tell the same."""
        known = self.key_information
        data, version = (known.diversification_data, known.key_version) if known is not None else (bytes(10), 0)
        chip = ChipKeys(data, version, keys.enc, keys.mac, keys.dek)
        backing = MemoryBacking(blank_image(chip, *self.sizes))
        cells = MemoryMap.open(backing)
        sequence = int.from_bytes(known.sequence_counter) if known is not None else 0
        with cells.memory.transaction() as tx:
            tx.put(cells.life_cycle, self.state)
            tx.put(cells.scp_sequence, max(0, sequence - 1))
        return backing.image()
