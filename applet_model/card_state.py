"""What a running card is: its memory, its randomness, and state that power or selection clears."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

from apdu.command import CommandApdu
from apdu.errors import AuthenticityError, FormatError
from apdu.identity import LifeCycle
from apdu.layout import Record
from apdu.messages import BodyT, Certificate, Credit, Signed
from apdu.objects import KeyUse, Parameters
from apdu.payload import Tag
from apdu.status import StatusWord
from applet_model.decline import Decline, unless
from applet_model.key_pair import KeyPair
from applet_model.life_cycle import Event, next_state
from applet_model.memory import Transaction
from applet_model.memory_map import MemoryMap
from applet_model.scp03 import CardChannel

__all__ = ["Call", "CardState", "ClearOnDeselect"]


@dataclass(slots=True)
class ClearOnDeselect:
    """State of one selection: gone at SELECT, at reset and without power."""

    pin_verified: bool = False
    channel: CardChannel | None = None
    next_block: int = 0


@dataclass(frozen=True, slots=True)
class Call:
    """A command that passed the dispatcher, with its payload objects taken apart."""

    command: CommandApdu
    objects: dict[Tag, bytes] = field(default_factory=dict)


_STATES = {int(state): state for state in LifeCycle}


@lru_cache(maxsize=16)
def _credit(raw: bytes) -> Credit:
    """Every command asks for it several times, and it changes once in a month."""
    return Credit.decode(raw[: Credit.SIZE])


class CardState:
    """Everything that handlers work on.

    What personalization stores never changes after activation: it is decoded once, at first use.
    """

    def __init__(self, cells: MemoryMap, random: Callable[[int], bytes], key_pair: KeyPair) -> None:
        """``random`` returns as many random bytes as it is asked for."""
        self.cells = cells
        self.random = random
        self.key_pair = key_pair
        self.selected = False
        self.session = ClearOnDeselect()

    @property
    def life_cycle(self) -> LifeCycle:
        """The state that dispatch asks for."""
        return _STATES[self.cells.life_cycle.number()]

    @cached_property
    def parameters(self) -> Parameters:
        """What personalization gave the purse."""
        return Parameters.decode(self.cells.parameters.get())

    @cached_property
    def certificate(self) -> Certificate:
        """The card's own certificate, verified when it was stored."""
        return Certificate.decode(self.cells.certificate.get()[: Certificate.SIZE])

    @property
    def credit(self) -> Credit:
        """The credit information in the store (37)."""
        return _credit(self.cells.credit.get())

    def forget_selection(self) -> None:
        """Clear what belongs to the selection."""
        self.session = ClearOnDeselect()

    def move(self, tx: Transaction, event: Event) -> None:
        """Change the life-cycle state by the table."""
        tx.put(self.cells.life_cycle, next_state(self.life_cycle, event))

    def sign(self, body: Record) -> bytes:
        """Return the body with the card's signature."""
        encoded = body.encode()
        return encoded + self.key_pair.sign(self.cells.private_key.get(), encoded)

    def now(self, call: Call) -> int:
        """The date of the check: the later of the card's date, which no terminal moves, and the terminal's."""
        stated = call.objects.get(Tag.DATE, b"")
        unless(len(stated) in (0, 4), StatusWord.WRONG_DATA)
        return max(self.cells.date.number(), int.from_bytes(stated))

    def decode(self, kind: type[BodyT], raw: bytes) -> Signed[BodyT]:
        """Parse a signed body; 6A80 when it has another layout."""
        try:
            return Signed.decode(kind, raw)
        except FormatError:
            raise Decline(StatusWord.WRONG_DATA) from None

    def center_point(self, number: int, use: KeyUse) -> bytes | None:
        """The center's public key of a number, if the card has it for that use."""
        for cell in self.cells.center_keys:
            raw = cell.get()
            if raw[0] == number and raw[1] == use:
                return raw[2:]
        return None

    def check_signature(self, signed: Signed[BodyT], point: bytes | None, sw: StatusWord) -> BodyT:
        """Return the body if the key is known and the signature holds, else decline with ``sw``."""
        try:
            if point is not None:
                return signed.verify(point)
        except AuthenticityError:
            pass
        raise Decline(sw)

    def center_signed(self, signed: Signed[BodyT], number: int) -> BodyT:
        """Check a signature of the center's over a head, credit, an order or a resolution; else 950B."""
        point = self.center_point(number, KeyUse.ORDERS)
        return self.check_signature(signed, point, StatusWord.SIGNATURE_INVALID)

    def certified(self, signed: Signed[Certificate]) -> Certificate:
        """Check another card's certificate: the center's signature and the issuer; else 9509."""
        point = self.center_point(signed.body.key, KeyUse.CERTIFICATION)
        unless(signed.body.subject.issuer == self.certificate.subject.issuer, StatusWord.CERTIFICATE_INVALID)
        return self.check_signature(signed, point, StatusWord.CERTIFICATE_INVALID)
