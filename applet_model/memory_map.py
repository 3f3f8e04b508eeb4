"""What lies where in non-volatile memory: everything is laid out once, at installation.

An image is: head (16 bytes), journal, cells. A person's card with 200 history records takes less than
16 KiB, as a Java Card must hold it in at most 32.

What a command changes lies together (see memory.py): the state of the purse in one block, each unsettled
transfer in one, and what the center's objects bring in one. So PAY writes five times: journal, purse,
transfer, record, and the clearing of the journal.
"""

from dataclasses import dataclass
from typing import Self

from apdu.commands import CHAIN_CAPACITY
from apdu.errors import StoreError
from apdu.identity import CardId, LifeCycle
from apdu.messages import UNSETTLED_MAX, Certificate, Credit, Head, Value
from apdu.objects import Capacities, CenterKey, HistoryRecord, Parameters, Request
from apdu.signature import POINT_SIZE, SIGNATURE_SIZE
from applet_model.backing import Backing, MemoryBacking
from applet_model.memory import JOURNAL_SIZE, Block, Cell, NonVolatileMemory, NumberCell

__all__ = [
    "CENTER_KEYS",
    "CHAIN_RANGE",
    "HISTORY_RANGE",
    "KEY_ROOM",
    "SCP_TRIES",
    "UNSETTLED_RANGE",
    "ChipKeys",
    "MemoryMap",
    "blank_image",
    "is_possible",
]

CENTER_KEYS = 4
"""Places for public keys of the center."""
SCP_TRIES = 10
"""Failed openings of the secure channel before the issuer's keys are blocked."""
KEY_ROOM = 32
"""Bytes of the place of a static key; shorter ones are filled up with zeros."""
PIN_SIZE = 8
_NAME, _VERSION = b"SAIFU-CARD", 2
_HEAD_SIZE = 16
_IMAGE_MAX = 0x10000
HISTORY_RANGE = range(8, 1025)
UNSETTLED_RANGE = range(1, UNSETTLED_MAX + 1)
CHAIN_RANGE = range(727, 0x10000)
"""Bytes that a chain may carry: from the longest LOCK OUT, with 24 siblings, to what Capacities can tell."""


def is_possible(history: int, unsettled: int, chain: int) -> bool:
    """Whether a purse may have such capacities."""
    return history in HISTORY_RANGE and unsettled in UNSETTLED_RANGE and chain in CHAIN_RANGE


@dataclass(frozen=True, slots=True, repr=False)
class ChipKeys:
    """What the chip's maker writes: diversification data (10 bytes), key version, static SCP03 keys."""

    diversification: bytes
    version: int
    enc: bytes
    mac: bytes
    dek: bytes


class MemoryMap:
    """The cells of one card."""

    def __init__(self, backing: Backing, history: int, unsettled: int, chain: int = CHAIN_CAPACITY) -> None:
        """Lay out ``history`` records and ``unsettled`` transfers; ``chain`` bytes are the longest command data."""
        self.history_capacity, self.unsettled_capacity, self.chain_capacity = history, unsettled, chain
        self.memory = NonVolatileMemory(backing, _HEAD_SIZE)
        self._backing, self._end = backing, _HEAD_SIZE + JOURNAL_SIZE
        self._place_chip()
        self._place_issuer_data()
        self._place_purse(Block())
        self._place_unsettled()
        self._place_history()
        self._place_orders(Block())

    @classmethod
    def open(cls, backing: Backing) -> Self:
        """Open an image; raises StoreError when it is not one, or not whole."""
        head = backing.read(0, _HEAD_SIZE)
        if len(head) < _HEAD_SIZE or not head.startswith(_NAME):
            raise StoreError("this is not a card image of saifu")
        if (version := head[len(_NAME)]) != _VERSION:
            raise StoreError(_of_another_version(version))
        history, unsettled, chain = int.from_bytes(head[11:13]), head[13], int.from_bytes(head[14:16])
        if not is_possible(history, unsettled, chain):
            raise StoreError("the card image is damaged: its head does not say how it is laid out")
        cells = cls(backing, history, unsettled, chain)
        if len(backing.read(cells.size - 1, 2)) != 1:
            raise StoreError(f"the card image is damaged: it does not have {cells.size} bytes")
        return cells

    @property
    def size(self) -> int:
        """Bytes of the whole image."""
        return self._end

    def _cell(self, size: int, block: Block | None = None) -> Cell:
        self._end += size
        return Cell(self._backing, self._end - size, size, block)

    def _number(self, size: int, block: Block | None = None) -> NumberCell:
        self._end += size
        return NumberCell(self._backing, self._end - size, size, block)

    def _place_chip(self) -> None:
        """Life cycle and what the secure channel needs."""
        self.life_cycle = self._number(1)
        self.diversification = self._cell(10)
        self.key_version, self.key_size = self._number(1), self._number(1)
        self.static_enc, self.static_mac, self.static_dek = (self._cell(KEY_ROOM) for _ in range(3))
        self.scp_sequence, self.scp_tries = self._number(3), self._number(1)

    def _place_issuer_data(self) -> None:
        """What personalization stores; ``stored`` has a bit for each kind (see STORE DATA)."""
        self.stored = self._number(1)
        self.private_key = self._cell(32)
        self.parameters = self._cell(Parameters.SIZE)
        self.certificate = self._cell(Certificate.SIZE + SIGNATURE_SIZE)
        self.center_keys = tuple(self._cell(CenterKey.SIZE) for _ in range(CENTER_KEYS))
        self.pin, self.puk = self._cell(PIN_SIZE), self._cell(PIN_SIZE)
        self.pin_tries, self.puk_tries = self._number(1), self._number(1)

    def _place_purse(self, block: Block) -> None:
        """What transfers change; ``chain_before`` is the chain without the newest record."""
        self.request, self.request_payer = self._cell(Request.SIZE, block), self._cell(CardId.SIZE, block)
        self.request_number = NumberCell(self._backing, self.request.offset, 4, block)
        self.request_open, self.request_floor = self._number(1, block), self._number(4, block)
        self.balance, self.record = self._number(4, block), self._number(4, block)
        self.chain_before, self.chain = self._cell(32, block), self._cell(32, block)
        self.payments = self._number(4, block)
        self.used_count, self.used_amount = self._number(4, block), self._number(4, block)
        self.without_pin = self._number(4, block)

    def _place_unsettled(self) -> None:
        """Transfers that wait: whether the place is used, signed value, public key of the payee."""
        blocks = [Block() for _ in range(self.unsettled_capacity)]
        value_size = Value.SIZE + SIGNATURE_SIZE
        places = [
            (self._number(1, block), self._cell(value_size, block), self._cell(POINT_SIZE, block)) for block in blocks
        ]
        self.unsettled_used, self.unsettled_value, self.unsettled_point = zip(*places, strict=True)

    def _place_history(self) -> None:
        """Records, side by side: RECEIVE looks through all of them."""
        self.records = tuple(self._cell(HistoryRecord.SIZE) for _ in range(self.history_capacity))
        self.history = Cell(self._backing, self.records[0].offset, HistoryRecord.SIZE * self.history_capacity)

    def _place_orders(self, block: Block) -> None:
        """What heads, orders and credit information of the center change."""
        self.head, self.head_known = self._cell(Head.SIZE + SIGNATURE_SIZE, block), self._number(1, block)
        self.edition, self.date = self._number(4, block), self._number(4, block)
        self.credit = self._cell(Credit.SIZE + SIGNATURE_SIZE, block)

    @property
    def capacities(self) -> Capacities:
        """What GET DATA 0107 tells."""
        return Capacities(_VERSION, self.history_capacity, self.unsettled_capacity, self.chain_capacity)


def _of_another_version(version: int) -> str:
    """How to go on with a card image that this version does not read."""
    if version > _VERSION:
        return f"this card image is of version {version}; take the saifu that made it, or a newer one"
    return (
        f"this card image is of version {version}, and this saifu reads version {_VERSION} alone; deposit the card's "
        "money with the saifu that made it, then make a new card: saifu personalize blank"
    )


def blank_image(keys: ChipKeys, history: int, unsettled: int, chain: int = CHAIN_CAPACITY) -> bytes:
    """Make the image of a blank card: laid out, with the maker's keys, and nothing else.

    Raises ValueError for capacities out of range.
    """
    if not is_possible(history, unsettled, chain):
        told = f"history of {history} records, {unsettled} unsettled transfers or chain of {chain} bytes"
        raise ValueError(f"{told}: out of range")
    backing = MemoryBacking(bytes(_IMAGE_MAX))
    backing.write(0, _NAME + bytes((_VERSION,)) + history.to_bytes(2) + bytes((unsettled,)) + chain.to_bytes(2))
    cells = MemoryMap(backing, history, unsettled, chain)
    with cells.memory.transaction() as tx:
        tx.put(cells.life_cycle, LifeCycle.BLANK)
        tx.put(cells.diversification, keys.diversification)
        tx.put(cells.key_version, keys.version)
        tx.put(cells.key_size, len(keys.enc))
        for cell, key in (
            (cells.static_enc, keys.enc),
            (cells.static_mac, keys.mac),
            (cells.static_dek, keys.dek),
        ):
            tx.put(cell, key.ljust(KEY_ROOM, b"\0"))
        tx.put(cells.scp_tries, SCP_TRIES)
    return backing.image()[: cells.size]
