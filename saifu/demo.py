"""The demo: the patent's story from the first card to the unlocked one, every step checked.

It runs the real card, terminals, personalization and center; nothing in it is staged but the clock.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from apdu.counting import counted
from apdu.errors import RefusedError, SaifuError
from apdu.identity import CardId, LifeCycle, Role
from apdu.money import Money
from apdu.proof import Proof
from apdu.status import StatusError, StatusWord
from broadcast.edition import Edition
from center.center import Center
from center.editions import publish, report_found, report_stolen
from center.float_purse import create_float
from center.line import LocalLine
from center.settings import Settings
from host.connection import CardSlot
from host.model import ModelSlot
from host.session import PurseSession, pin_block
from host.terminal.atm import Atm
from host.terminal.blacklist_store import BlacklistStore
from host.terminal.panel import Display
from host.terminal.pos import InsufficientMoneyError, PointOfSale
from host.terminal.purse_terminal import PurseTerminal
from host.terminal.sales import SalesStore
from host.terminal.terminal import ListedCardError
from personalization.card_keys import CardKeys, public_transport_keys
from personalization.diversification import resetting_code
from personalization.keystore import MasterKey, random_key
from personalization.one import Letter, create_blank, personalize_card
from personalization.profile import Profile
from saifu.demo_air import AirLink
from saifu.tables import Table

__all__ = ["Demo", "StepResult"]

_ISSUED = 1_000_000_00
_CHEAP = 2**14
"""Scrypt's N for a center whose passphrase is random and forgotten."""
_MONTH = 31 * 86400
_PEOPLE = ("Aoi", "Botan")
_SHOP = "Shop"
_PIN = "2468"


class DemoError(SaifuError):
    """Something in the demo is not as it must be."""


def expect(condition: bool, text: str) -> None:
    """Stop the step unless the condition holds."""
    if not condition:
        raise DemoError(text)


@contextmanager
def expect_error(kind: type[SaifuError], text: str) -> Iterator[list[SaifuError]]:
    """The block must end in an error of this kind, which is given out."""
    caught: list[SaifuError] = []
    try:
        yield caught
    except kind as error:
        caught.append(error)
    expect(bool(caught), text)


@dataclass(frozen=True, slots=True)
class StepResult:
    """One step: name, figure of the patent, whether all was as it must be, and what came of it."""

    name: str
    figure: str
    ok: bool
    detail: dict[str, Any] = field(default_factory=dict)


class _Clock:
    """Real time, and a hand that moves it on."""

    def __init__(self) -> None:
        self.offset = 0

    def __call__(self) -> float:
        return time.time() + self.offset


class _DemoInput:
    """Everybody in the demo has the same PIN."""

    def __init__(self) -> None:
        self.asked = 0

    def pin(self, _reason: str) -> bytes:
        """The PIN of the demo."""
        self.asked += 1
        return pin_block(_PIN)


class Demo:
    """One run, in a folder of its own."""

    def __init__(self, folder: Path, table: Table, display: Display, link: AirLink | None = None) -> None:
        """``display`` shows what the terminals show, and the headings between; ``link`` carries the editions.

        Without a link an edition is a file that the terminal takes in.
        """
        self._folder, self._table, self._display, self._link = folder, table, display, link
        self._clock, self._input = _Clock(), _DemoInput()
        self.results: list[StepResult] = []
        self.value: dict[str, Any] = {}
        self._sent: dict[str, Any] = {}
        self._images = {name: folder / f"{name.lower()}.card" for name in (*_PEOPLE, _SHOP)}

    STEPS: tuple[tuple[str, str, str], ...] = (
        ("set_up", "1", "a center with its float; three cards are made over SCP03"),
        ("load", "7", "the ATM loads two cards out of the float"),
        ("remit", "2", "Aoi sends Botan 12.50"),
        ("insertion_check", "3", "check at insertion, balance and history"),
        ("pos_sale", "5", "Botan buys something in the shop"),
        ("pos_too_little", "5", "Botan wants something that costs too much"),
        ("pin_sum", "2", "small payments add up: then one of 5.00 wants the PIN, and the next none"),
        ("torn_transfer", "2", "a card is pulled out in the middle, and finished later"),
        ("credit_expired", "7", "a month later, without valid credit, a card refuses"),
        ("credit_renewed", "7", "the ATM renews it, and the card pays again"),
        ("theft_reported", "1", "Botan's card is stolen: the center takes the report"),
        ("edition_published", "1", "the blacklist is published; the terminal takes it in"),
        ("listed_card", "2", "the stolen card is refused, locked out and ejected"),
        ("rogue_terminal", "2", "a rogue terminal tries to lock Aoi's card, and fails"),
        ("unlock", "1", "the card is found again, and the center unlocks it"),
    )

    def run(self) -> bool:
        """Run all steps; returns whether each was as it must be and the money is all there."""
        for number, (name, figure, title) in enumerate(self.STEPS, 1):
            self._display.show(f"{number}. {title} (fig. {figure})")
            self._run_step(name, figure)
            if not self.results[-1].ok:
                break
        return all(result.ok for result in self.results) and bool(self.value.get("conserved"))

    def _run_step(self, name: str, figure: str) -> None:
        action: Callable[[], dict[str, Any]] = getattr(self, f"_{name}")
        try:
            detail = action()
            self.value = self._count_value()
            expect(self.value["conserved"], "money was lost or made")
            self.results.append(StepResult(name, figure, True, detail))
        except SaifuError as error:
            self._display.show(f"NOT AS IT MUST BE: {error}")
            self.results.append(StepResult(name, figure, False, {"error": f"{type(error).__name__}: {error}"}))
        finally:
            for slot in (1, 2):
                self._table.take(slot)

    def document(self) -> dict[str, Any]:
        """The JSON document of the run."""
        ok = len(self.results) == len(self.STEPS) and all(result.ok for result in self.results)
        steps = [
            {key: value for key, value in asdict(result).items() if key != "detail"} | result.detail
            for result in self.results
        ]
        return {"steps": steps, "value": self.value, "ok": ok and bool(self.value.get("conserved"))}

    def close(self) -> None:
        """Close databases."""
        for opened in ("_center", "_sales"):
            if opened in self.__dict__:
                self.__dict__[opened].close()

    def _money(self, amount: int) -> str:
        return str(Money(amount, self._center.unit))

    @contextmanager
    def _session(self, name: str, slot: int = 1) -> Iterator[PurseSession]:
        """A card on its own, without a terminal's flow."""
        found = self._table.put(slot, self._images[name])
        try:
            yield PurseSession(found.connect())
        finally:
            found.close()
            self._table.take(slot)

    def _put(self, slot: int, name: str) -> CardSlot:
        return self._table.put(slot, self._images[name])

    def _count_value(self) -> dict[str, Any]:
        """Ask every purse for its balance and what it has paid and not yet settled; all cards are out now."""
        for slot in (1, 2):
            self._table.take(slot)
        images = self._images | {"float": self._folder / "center" / "float.card"}
        balances, unsettled = {}, 0
        for name, image in images.items():
            slot_of_its_own = ModelSlot(name, path=image)
            session = PurseSession(slot_of_its_own.connect())
            balances[name] = session.selected.status.balance
            unsettled += sum(entry.amount for entry in session.get_unsettled())
            slot_of_its_own.close()
        issued = _ISSUED - balances.pop("float")
        conserved = issued == sum(balances.values()) + unsettled
        return {"issued": issued, "balances": balances, "unsettled": unsettled, "conserved": conserved}

    def _set_up(self) -> dict[str, Any]:
        passphrase = random_key(16)
        folder, witness = self._folder / "center", self._folder / "witness"
        self._center = Center.create(folder, Settings(1, "EUR"), passphrase, self._clock, _CHEAP, witness)
        create_float(self._center, _ISSUED)
        self._line = LocalLine(self._center)
        self._display.show(f"the float holds {self._money(_ISSUED)}")
        master = MasterKey("cards", 1, "sp800-108", random_key(16))
        self._cards = {name: self._personalize(name, master) for name in self._images}
        store = BlacklistStore.import_trust(self._folder / "terminal", self._center.trust.encode())
        parts = (store, self._display, self._input, self._clock)
        self._terminal, self._pos, self._atm = PurseTerminal(*parts), PointOfSale(*parts), Atm(*parts)
        self._sales = SalesStore(self._folder / "terminal" / "sales.sqlite")
        self._publish()
        return {"cards": {name: card.text for name, card in self._cards.items()}}

    def _personalize(self, name: str, master: MasterKey) -> CardId:
        """A blank card becomes a purse."""
        profile = Profile.load("merchant" if name == _SHOP else "person", self._center.unit)
        create_blank(self._images[name], public_transport_keys, profile)
        card = self._center.allot(profile.role, name)
        letter = Letter(card, name, _PIN, resetting_code(master.key, card))
        personalize_card(self._put(1, name), letter, profile, CardKeys(master), self._center)
        self._table.take(1)
        self._display.show(f"card {card} is {name}'s ({Role(profile.role).name.lower()})")
        return card

    def _publish(self) -> Edition:
        edition, store = publish(self._center), self._terminal.store
        self._display.show(
            f"the center publishes edition {edition.number}: {counted(edition.tree.count, 'card')} listed"
        )
        if self._link is None:
            store.import_edition(edition.encode(), int(self._clock()))
        else:
            self._sent = self._link.carry(self._center, store, self._clock)
        expect(store.number == edition.number, "the edition is not in force at the terminal")
        return edition

    def _load(self) -> dict[str, Any]:
        amounts = {"Aoi": 300_00, "Botan": 20_00}
        for name, amount in amounts.items():
            self._atm.load(self._put(1, name), amount, self._line)
            self._table.take(1)
        return {"loaded": amounts}

    def _remit(self) -> dict[str, Any]:
        done = self._terminal.remit(self._put(1, "Aoi"), self._put(2, "Botan"), 12_50)
        expect(done.settled, "the transfer is not settled")
        return {"amount": done.amount}

    def _insertion_check(self) -> dict[str, Any]:
        seen = self._terminal.insert(self._put(1, "Botan"))
        expect(seen.balance == 32_50, f"the balance is {seen.balance}")
        for record in seen.history:
            self._display.show(f"record {record.number}: {record.kind.name.lower()} {self._money(record.amount)}")
        return {"balance": seen.balance, "records": len(seen.history)}

    def _pos_sale(self) -> dict[str, Any]:
        self._pos.sell(self._put(1, "Botan"), self._put(2, _SHOP), 7_80, self._sales)
        return {"amount": 7_80, "sales_amount": self._sales.amount(self._cards[_SHOP])}

    def _pos_too_little(self) -> dict[str, Any]:
        with expect_error(InsufficientMoneyError, "the card paid what it does not hold") as errors:
            self._pos.sell(self._put(1, "Botan"), self._put(2, _SHOP), 49_00, self._sales)
        return {"refused": str(errors[0])}

    def _pin_sum(self) -> dict[str, Any]:
        """Aoi has paid 12.50 without the PIN, and 150.00 may be in all: the fourth payment from here is too much."""
        asked = []
        for amount in (45_00, 45_00, 45_00, 5_00, 5_00):
            before = self._input.asked
            self._terminal.remit(self._put(1, "Aoi"), self._put(2, "Botan"), amount)
            asked.append(self._input.asked - before)
            for slot in (1, 2):
                self._table.take(slot)
        expect(asked == [0, 0, 0, 1, 0], f"the PIN was asked for {asked} times")
        with self._session("Aoi") as session:
            begun_anew = session.get_counters().without_pin
        expect(begun_anew == 5_00, "the sum did not begin anew with the payment that had the PIN")
        return {"pin_asked": asked, "without_pin": begun_anew}

    def _torn_transfer(self) -> dict[str, Any]:
        """Pull the payer's card out right after PAY: the value is on its way and nowhere else."""
        with self._session("Aoi") as payer, self._session("Botan", 2) as payee:
            now = int(self._clock())
            payer.pay(payee.request(5_00, payer.card, now), now)
        between = self._count_value()
        expect(between["unsettled"] == 5_00 and between["conserved"], "the value on its way is not accounted for")
        self._display.show(f"the card is out; {self._money(5_00)} are on their way")
        ended = self._terminal.resume(self._put(1, "Aoi"), self._put(2, "Botan"))
        expect([torn.credited for torn in ended] == [True], "the torn transfer was not finished")
        return {"unsettled_between": between["unsettled"], "finished": len(ended)}

    def _credit_expired(self) -> dict[str, Any]:
        self._clock.offset += _MONTH
        self._center.confirm_clock()
        self._display.show("the center was off for a month: its operator says that the clock is right")
        self._publish()
        with expect_error(StatusError, "a card without valid credit did business") as errors:
            self._terminal.remit(self._put(1, "Aoi"), self._put(2, "Botan"), 1_00)
        sw = errors[0].sw if isinstance(errors[0], StatusError) else 0
        expect(sw == StatusWord.CREDIT_EXPIRED, f"the card said {sw:04X}")
        self._display.show(str(errors[0]))
        return {"refused": str(errors[0])}

    def _credit_renewed(self) -> dict[str, Any]:
        serials = {}
        for name in _PEOPLE:
            serials[name] = self._atm.renew(self._put(1, name), self._line).serial
            self._table.take(1)
        self._terminal.remit(self._put(1, "Aoi"), self._put(2, "Botan"), 1_00)
        return {"credit": serials}

    def _theft_reported(self) -> dict[str, Any]:
        card = self._cards["Botan"]
        expect(report_stolen(self._center, card), "the card was listed before")
        self._display.show(f"card {card} is reported stolen")
        with expect_error(RefusedError, "the center renewed a listed card's credit") as errors:
            self._atm.renew(self._put(1, "Botan"), self._line)
        self._display.show(str(errors[0]))
        return {"card": card.text}

    def _edition_published(self) -> dict[str, Any]:
        self._edition = self._publish()
        expect(self._cards["Botan"] in self._terminal.store, "the edition does not list the card")
        return {"edition": self._edition.number, "listed": self._edition.tree.count} | self._sent

    def _listed_card(self) -> dict[str, Any]:
        with expect_error(ListedCardError, "a listed card did business") as errors:
            self._terminal.remit(self._put(1, "Botan"), self._put(2, "Aoi"), 1_00)
        self._display.show(str(errors[0]))
        for slot in (1, 2):
            self._table.take(slot)
        with self._session("Botan") as session:
            expect(session.selected.status.state is LifeCycle.LOCKED_OUT, "the card is not locked out")
        return {"refused": str(errors[0])}

    def _rogue_terminal(self) -> dict[str, Any]:
        """Offer Aoi's card the true head with Botan's proof, then a proof that lists both."""
        head = self._edition.head
        stolen = self._edition.tree.prove(self._cards["Botan"].serial)
        forged = Proof(b"\xff" * len(stolen.bitmap), stolen.forks, stolen.siblings)
        refused = []
        with self._session("Aoi") as session:
            for proof in (stolen, forged):
                with expect_error(StatusError, "the card let itself be locked out") as errors:
                    session.lock_out(head, proof)
                refused.append(str(errors[0]))
                self._display.show(str(errors[0]))
            expect(session.select().status.state is LifeCycle.ACTIVE, "the card is locked out")
        return {"refused": refused}

    def _unlock(self) -> dict[str, Any]:
        card = self._cards["Botan"]
        report_found(self._center, card)
        self._publish()
        self._atm.unlock(self._put(1, "Botan"), self._line)
        self._table.take(1)
        self._terminal.remit(self._put(1, "Botan"), self._put(2, "Aoi"), 1_00)
        return {"card": card.text}
