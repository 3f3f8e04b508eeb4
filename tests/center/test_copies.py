"""Copies taken and put back at any point: no serial is certified twice, no edition made twice, no money paid twice.

The machine is the world: cards live on, whatever is put back at the center. Its operator is honest, and knows only
what ``saifu center recover`` tells him; where nobody can know what the float held, he counts the money on the cards.
"""

import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from hypothesis.strategies import integers, lists, sampled_from

from apdu.errors import RefusedError, StoreError
from apdu.identity import CardId, Role
from apdu.signature import point_of, private_key
from apdu.status import StatusError
from center.backup import back_up
from center.editions import listed, publish, report_stolen
from center.recovery import Plan, finish, take_in_card, take_in_edition
from center.standing import open_findings
from tests.center.bank import Bank, Purse

ISSUED = 100_000
EXAMPLES, STEPS = (200, 80) if os.environ.get("SAIFU_ASSURE") else (10, 20)
"""``make assure`` looks longer."""
STORES = {
    "float": ("float.card",),
    "database": ("center.sqlite",),
    "witness": ("witness",),
    "database and witness": ("center.sqlite", "witness"),
    "database and float": ("center.sqlite", "float.card"),
    "folder": (),
}


ACTS = lists(sampled_from(["issue", "load", "publish"]), min_size=1, max_size=3)


class Copies(RuleBasedStateMachine):
    """A center, its cards, and somebody who puts copies back."""

    @initialize()
    def open(self) -> None:
        self.base = Path(tempfile.mkdtemp())
        self.bank = Bank(self.base / "center")
        self.bank.open_float(ISSUED)
        self.purses: list[Purse] = []
        self.allotted: list[CardId] = []
        self.copies: list[Path] = []
        self.certificates: dict[int, bytes] = {}
        self.editions: dict[int, bytes] = {}
        self.older = False
        self.issue()

    def teardown(self) -> None:
        if hasattr(self, "bank"):
            self.bank.center.close()
            shutil.rmtree(self.base)

    def certified(self, card: CardId, certificate: bytes) -> None:
        assert self.certificates.setdefault(card.serial, certificate) == certificate, f"{card} was certified twice"

    @property
    def outside(self) -> int:
        return sum(purse.balance for purse in self.purses)

    def move(self, act: Callable[[Purse, int], object], number: int, amount: int) -> None:
        purse = self.purses[number % len(self.purses)]
        with suppress(RefusedError, StoreError, StatusError):
            act(purse, amount)
            assert self.bank.held + self.outside <= ISSUED, "money was made"

    # --- business ------------------------------------------------------------------------------------------

    @rule()
    def issue(self) -> None:
        with suppress(RefusedError):
            purse = self.bank.purse(history=16)
            self.purses.append(purse)
            self.certified(purse.id, purse.session().get_certificate().raw)

    @rule()
    def allot(self) -> None:
        with suppress(RefusedError):
            self.allotted.append(self.bank.center.allot(Role.PERSON, "later"))

    @precondition(lambda self: self.allotted)
    @rule(number=integers(0, 99))
    def certify(self, number: int) -> None:
        card, key = self.allotted[number % len(self.allotted)], private_key(os.urandom(40))
        with suppress(RefusedError):
            certificate, _ = self.bank.center.certify(card, point_of(key))
            self.certified(card, certificate.raw)

    @rule(number=integers(0, 99), amount=integers(1, 5000))
    def load(self, number: int, amount: int) -> None:
        self.move(self.bank.load, number, amount)

    @rule(number=integers(0, 99), amount=integers(1, 5000))
    def deposit(self, number: int, amount: int) -> None:
        self.move(self.bank.deposit, number, amount)

    @rule(number=integers(0, 99))
    def renew(self, number: int) -> None:
        self.move(lambda purse, _: self.bank.renew(purse), number, 0)

    @rule()
    def publish(self) -> None:
        with suppress(RefusedError):
            edition = publish(self.bank.center)
            content = edition.encode()
            assert self.editions.setdefault(edition.number, content) == content, "an edition was made twice"

    @rule(number=integers(0, 99))
    def report(self, number: int) -> None:
        with suppress(RefusedError):
            report_stolen(self.bank.center, self.purses[number % len(self.purses)].id)

    # --- copies --------------------------------------------------------------------------------------------

    @rule()
    def copy(self) -> None:
        self.copies.append(self.bank.copy(f"copy-{len(self.copies)}"))
        self.bank.reopen()

    @rule()
    def back_up(self) -> None:
        with suppress(StoreError):
            target = self.base / f"copy-{len(self.copies)}"
            back_up(self.bank.center, target)
            self.copies.append(target)

    @precondition(lambda self: self.copies)
    @rule(number=integers(0, 99), stores=sampled_from(sorted(STORES)))
    def put_back(self, number: int, stores: str) -> None:
        self.bank.put_back(self.copies[number % len(self.copies)], *STORES[stores])
        self.older = True

    @rule(stores=sampled_from(sorted(STORES)), acts=ACTS)
    def go_back(self, stores: str, acts: list[str]) -> None:
        """What was done after a copy is tried again after it was put back."""
        self.copy()
        for turn in range(2):
            for act in acts:
                if act == "load":
                    self.load(0, 100)
                else:
                    getattr(self, act)()
            if turn == 0:
                self.put_back(len(self.copies) - 1, stores)

    @rule()
    def lose_witness(self) -> None:
        self.bank.center.witnesses.outer.path.unlink(missing_ok=True)
        self.bank.reopen()

    @precondition(lambda self: self.copies)
    @rule(number=integers(0, 99))
    def put_folder_back_without_witness(self, number: int) -> None:
        self.bank.center.witnesses.outer.path.unlink(missing_ok=True)
        self.put_back(number, "folder")

    # --- recovery ------------------------------------------------------------------------------------------

    @rule(number=integers(0, 99))
    def take_in(self, number: int) -> None:
        with suppress(RefusedError):
            take_in_card(self.bank.center, self.purses[number % len(self.purses)].session())

    @rule()
    def recover(self) -> None:
        """The operator tries what he is told to, one after the other; then everybody can go on."""
        with self.bank.center.session() as session:
            unknown = {finding.kind for finding in open_findings(session)} - {"database older", "folder older"}
        if unknown:
            self.take_all_in()
        plans = [Plan(), Plan(lost_float=True), Plan(float_amount=ISSUED - self.outside)]
        for plan in [Plan(current=True), *plans] if not self.older else plans:
            with suppress(RefusedError):
                finish(self.bank.center, plan)
                break
        with self.bank.center.session() as session:
            assert open_findings(session) == []
        assert self.bank.held + self.outside <= ISSUED, "money was made"
        self.older = False
        blacklist = listed(self.bank.center)
        for purse in self.purses:
            if purse.id not in blacklist:
                self.bank.renew(purse)

    def take_all_in(self) -> None:
        """What a careful operator does where no witness tells: all cards, and the newest edition that was sent."""
        for number in range(len(self.purses)):
            self.take_in(number)
        if self.editions:
            take_in_edition(self.bank.center, self.editions[max(self.editions)])

    @invariant()
    def no_money_is_made(self) -> None:
        assert not hasattr(self, "bank") or self.outside <= ISSUED


TestCopies = Copies.TestCase
TestCopies.settings = settings(max_examples=EXAMPLES, stateful_step_count=STEPS, deadline=None)
