"""A town for terminals: a real center with its float and its line, real cards, and what a terminal is made of."""

from collections.abc import Callable
from pathlib import Path
from typing import Self

from apdu.errors import RefusedError
from apdu.identity import CardId, LifeCycle, Role
from apdu.objects import NO_PIN_SUM, Parameters
from applet_model.backing import MemoryBacking
from applet_model.memory_map import MemoryMap, blank_image
from broadcast.edition import Edition
from center.center import Center
from center.editions import publish
from center.float_purse import create_float
from center.line import LocalLine
from center.settings import CreditTerms, Settings
from host.connection import CardConnection, CardSlot, Ejection
from host.issuer_session import IssuerData, IssuerSession
from host.model import CardFile, ModelSlot, SmartCard
from host.session import PurseSession
from host.terminal.atm import Atm
from host.terminal.blacklist_store import BlacklistStore
from host.terminal.credit_check import CreditCheckUnit
from host.terminal.pos import PointOfSale
from host.terminal.purse_terminal import PurseTerminal
from host.terminal.sales import SalesStore
from host.terminal.steps import Step
from tests.center.bank import CHEAP
from tests.issuer import CHIP, NOW, PIN, PUK, STATIC

__all__ = ["FLOAT", "Card", "Clock", "HookedSlot", "Keypad", "Screen", "Town"]

FLOAT = 1_000_000
"""All the money there is, in minor units."""
MONTH = 31 * 86400


class Clock:
    """Everybody's time, which stands still until it is moved."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


class Screen:
    """A display that remembers."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.details: dict[str, str] = {}
        self.said: list[str] = []

    def step(self, step: Step, detail: str = "") -> None:
        self.steps.append(step.name)
        self.details[step.name] = detail

    def show(self, text: str) -> None:
        self.said.append(text)

    def says(self, part: str) -> bool:
        return any(part in text for text in self.said)


class Keypad:
    """An input on which somebody enters these PINs, one after the other."""

    def __init__(self, *pins: bytes) -> None:
        self.pins = list(pins)
        self.asked: list[str] = []

    def pin(self, reason: str) -> bytes:
        self.asked.append(reason)
        if not self.pins:
            raise RefusedError("nobody enters a PIN")
        return self.pins.pop(0)


class Card:
    """A person's real card, which can be put into any slot and looked at by itself."""

    def __init__(self, image: bytes) -> None:
        self.backing = MemoryBacking(image)
        self.chip = SmartCard(self.backing)

    def copy(self) -> "Card":
        return Card(self.backing.image())

    def slot(self, name: str) -> ModelSlot:
        return ModelSlot(name, self.chip)

    def look(self) -> PurseSession:
        """Reset the card and select the purse."""
        return PurseSession(self.slot("look").connect())

    @property
    def id(self) -> CardId:
        return self.look().card

    @property
    def balance(self) -> int:
        return self.look().selected.status.balance

    @property
    def unsettled(self) -> int:
        return sum(entry.amount for entry in self.look().get_unsettled())

    @property
    def state(self) -> LifeCycle:
        return self.look().selected.status.state

    def put(self, cell: str, value: bytes | int) -> None:
        """Change a cell behind the card's back, as no command can."""
        cells = MemoryMap.open(self.backing)
        with cells.memory.transaction() as tx:
            tx.put(getattr(cells, cell), value)


Hook = Callable[[bytes, Callable[[bytes], bytes]], bytes]
"""Is given each command and the way to the real card."""


class HookedSlot:
    """A slot in which somebody stands between terminal and card."""

    def __init__(self, slot: CardSlot, hook: Hook) -> None:
        self._slot, self._hook = slot, hook
        self._connection: CardConnection | None = None
        self.ejected = 0

    @property
    def name(self) -> str:
        return self._slot.name

    def connect(self) -> Self:
        self._connection = self._slot.connect()
        return self

    def transmit(self, command: bytes) -> bytes:
        assert self._connection is not None
        return self._hook(command, self._connection.transmit)

    def eject(self) -> Ejection:
        self.ejected += 1
        return self._slot.eject()

    def close(self) -> None:
        self._slot.close()


class Town:
    """One center, one clock, one screen; terminals and cards as they are wanted."""

    def __init__(self, folder: Path, credit: CreditTerms | None = None) -> None:
        self.folder, self.clock = folder, Clock()
        settings = Settings(1, "EUR")
        if credit is not None:
            settings.terms[Role.PERSON] = credit
        witness = folder / "witness"
        self.center = Center.create(folder / "center", settings, b"a passphrase", self.clock, CHEAP, witness)
        create_float(self.center, FLOAT)
        self.line = LocalLine(self.center)
        self.screen, self.keypad = Screen(), Keypad()
        self.store = self.new_store()
        self.publish()

    def pass_time(self, seconds: int) -> None:
        """Let so much time go by that the center's operator has to confirm its clock."""
        self.clock.now += seconds
        self.center.confirm_clock()

    def new_store(self, name: str = "terminal") -> BlacklistStore:
        """The blacklist store of a terminal that trusts the center and has no list yet."""
        return BlacklistStore.import_trust(self.folder / name, self.center.trust.encode())

    def publish(self, *stores: BlacklistStore) -> Edition:
        """The center's next edition, brought to the usual terminal or to these."""
        edition = publish(self.center)
        for store in stores or (self.store,):
            store.import_edition(edition.encode())
        return edition

    def sales(self, name: str = "sales") -> SalesStore:
        return SalesStore(self.folder / f"{name}.sqlite")

    def purse_terminal(self, store: BlacklistStore | None = None, unit: CreditCheckUnit | None = None) -> PurseTerminal:
        return PurseTerminal(store or self.store, self.screen, self.keypad, self.clock, unit)

    def pos(self, store: BlacklistStore | None = None, unit: CreditCheckUnit | None = None) -> PointOfSale:
        return PointOfSale(store or self.store, self.screen, self.keypad, self.clock, unit)

    def atm(self, unit: CreditCheckUnit | None = None) -> Atm:
        return Atm(self.store, self.screen, self.keypad, self.clock, unit)

    def card(
        self, money: int = 0, role: Role = Role.PERSON, history: int = 64, unsettled: int = 4, **other: int
    ) -> Card:
        """A card over real personalization; its money comes out of the float."""
        card = Card(blank_image(CHIP, history, unsettled))
        given = self.center.allot(role, "somebody")
        fields = {"balance_max": 100_000, "transfer_max": 50_000, "pin_above": 5_000, "pin_sum": NO_PIN_SUM}
        fields |= {"pin_tries": 3, "puk_tries": 10, "initial": 0} | other
        parameters = Parameters(given, role, self.center.unit.number, **fields)
        session = IssuerSession(card.slot("issuer").connect(), lambda _: STATIC)
        data = IssuerData(parameters, self.center.public_keys, PIN, PUK)
        session.personalize(data, lambda point: self.center.certify(given, point))
        if money:
            self._give(card, money)
        return card

    def _give(self, card: Card, money: int) -> None:
        slot = self.line.float_slot()
        payer, payee = PurseSession(slot.connect()), card.look()
        payer.settle(payee.receive(payer.pay(payee.request(money, payer.card, NOW), NOW), NOW))
        slot.close()

    @property
    def float(self) -> int:
        """What the float holds."""
        slot = ModelSlot("float", CardFile(self.center.folder / "float.card"))
        try:
            return PurseSession(slot.connect()).selected.status.balance
        finally:
            slot.close()

    def close(self) -> None:
        self.center.close()
