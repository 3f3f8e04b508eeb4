"""A real center with real cards: SQLite on disk, keys in files, cards that were personalized over SCP03."""

import shutil
from pathlib import Path

from sqlalchemy import event

from apdu.identity import CardId, Role
from apdu.messages import Signed, TerminateOrder
from apdu.objects import NO_PIN_SUM, HistoryRecord, Parameters
from center.center import Center
from center.editions import publish
from center.float_purse import create_float
from center.line import LocalLine
from center.settings import Settings
from host.issuer_session import IssuerData, IssuerSession
from host.model import ModelSlot
from host.session import Attested, PurseSession
from host.terminal.line import Renewal, RenewalChallenge
from host.terminal.renewal import renew, shown
from tests.applet_model.cards import CopiedCard, blank
from tests.issuer import EUR, NOW, PIN, PUK, STATIC

__all__ = ["CHEAP", "PASSPHRASE", "Bank", "Purse"]

PASSPHRASE = b"a passphrase of some length"
CHEAP = 2**14
"""Scrypt's N for keys that protect nothing."""


class Purse:
    """A card of the bank, powered; every ``session`` begins with a reset."""

    def __init__(self, card: CopiedCard) -> None:
        self.card = card
        self._slot = ModelSlot("card", card)

    def session(self) -> PurseSession:
        return PurseSession(self._slot.connect())

    @property
    def id(self) -> CardId:
        return self.session().card

    @property
    def balance(self) -> int:
        return self.session().selected.status.balance

    def clone(self) -> "Purse":
        """What a thief makes who can read a chip: a second card that is the same in everything."""
        return Purse(CopiedCard(self.card.image(), seed=99))


class Bank:
    """A center whose clock is moved by hand."""

    def __init__(self, folder: Path, issuer: int = 1) -> None:
        self.time = NOW
        self.folder, self.witness = folder, folder.with_name(f"{folder.name}-witness")
        self.center = Center.create(folder, Settings(issuer, "EUR"), PASSPHRASE, lambda: self.time, CHEAP, self.witness)
        self._join()
        self._seed = 0

    def _join(self) -> None:
        # all is written, but the disk is not waited for: no test cuts the power of the machine
        event.listen(self.center._engine, "connect", lambda database, _: database.execute("PRAGMA synchronous=OFF"))
        self.center._engine.dispose()
        self.line = LocalLine(self.center)

    def copy(self, name: str = "copy") -> Path:
        """A copy of the center's folder, as a backup program makes it while the center is closed."""
        self.center.close()
        target = self.folder.parent / name
        shutil.copytree(self.folder, target)
        return target

    def put_back(self, copy: Path, *files: str) -> None:
        """Put a copy back, the whole folder or some files of it, and open the center again."""
        self.center.close()
        if files:
            for name in files:
                shutil.copy(copy / name, self.folder / name)
        else:
            shutil.rmtree(self.folder)
            shutil.copytree(copy, self.folder)
        self.reopen()

    def reopen(self) -> None:
        """Open the center as another process does."""
        self.center.close()
        self.center = Center.open(self.folder, PASSPHRASE, lambda: self.time, self.witness)
        self._join()

    def lose_witness(self) -> None:
        """The witness outside of the folder is gone with its disk."""
        self.center.witnesses.outer.path.unlink()

    def load(self, purse: Purse, amount: int) -> None:
        """Money out of the float."""
        slot = self.line.float_slot()
        try:
            paying, paid = PurseSession(slot.connect()), purse.session()
            requested = paid.request(amount, paying.card, self.time)
            paying.settle(paid.receive(paying.pay(requested, self.time), self.time))
        finally:
            slot.close()

    def deposit(self, purse: Purse, amount: int) -> None:
        """Money back into the float."""
        slot = self.line.float_slot()
        try:
            paying, paid = purse.session(), PurseSession(slot.connect())
            requested = paid.request(amount, paying.card, self.time)
            paying.settle(paid.receive(paying.pay(requested, self.time), self.time))
        finally:
            slot.close()

    @property
    def held(self) -> int:
        """What the float's image says that it holds, whatever the center thinks of it."""
        slot = ModelSlot("float", path=self.folder / "float.card")
        try:
            return PurseSession(slot.connect()).selected.status.balance
        finally:
            slot.close()

    def purse(self, role: Role = Role.PERSON, initial: int = 0, history: int = 16, born_with: int = 0) -> Purse:
        """A new card; with ``initial`` a float, with ``born_with`` one that tries to begin with money."""
        role = Role.FLOAT if initial else role
        card = self.center.allot(Role.PERSON, "somebody")
        with self.center.session() as database:
            self.center.row(database, card).role = role  # more floats than a center would give out
        self._seed += 1
        chip = blank(history, seed=self._seed)
        parameters = Parameters(card, role, EUR, 100_000, 50_000, 50_000, NO_PIN_SUM, 3, 10, initial or born_with)
        session = IssuerSession(ModelSlot("issuer", chip).connect(), lambda _: STATIC)
        data = IssuerData(parameters, self.center.public_keys, PIN, PUK)
        session.personalize(data, lambda point: self.center.certify(card, point))
        if initial:
            with self.center.session() as database:
                self.center.row(database, card).balance = initial
        return Purse(chip)

    def open_float(self, amount: int) -> CardId:
        """The center's own float."""
        return create_float(self.center, amount)

    def pay(self, payer: Purse, payee: Purse, amount: int) -> None:
        """A whole transfer."""
        paying, paid = payer.session(), payee.session()
        paying.settle(paid.receive(paying.pay(paid.request(amount, paying.card, self.time), self.time), self.time))

    def renew(self, purse: Purse) -> int:
        """A whole renewal; returns the serial of the new credit."""
        return renew(purse.session(), self.line, self.time).serial

    def begin(self, purse: Purse) -> RenewalChallenge:
        """Ask for a challenge for a card."""
        return self.line.begin_renewal(shown(purse.session()))

    def attest(self, purse: Purse) -> tuple[Attested, list[HistoryRecord]]:
        """What a card hands in for a renewal: its attested state, and the records that the center wants."""
        session = purse.session()
        begun = self.line.begin_renewal(shown(session))
        attested = session.attest(begun.challenge)
        unseen = attested.attestation.body.record - begun.seen
        return attested, [session.read_record(age) for age in range(unseen)][::-1]

    def hand_in(self, purse: Purse) -> Renewal:
        """A renewal of which the card gets nothing: it is cut after the center's part."""
        return self.line.renew(*self.attest(purse))

    def terminate_order(self, purse: Purse) -> Signed[TerminateOrder]:
        """The order that ends an empty card's life, on its word that it is empty."""
        return self.line.terminate_order(*self.attest(purse))

    def lock(self, purse: Purse) -> None:
        """Publish, and show the card the edition that lists it."""
        edition = publish(self.center)
        purse.session().lock_out(edition.head, edition.tree.prove(purse.id.serial))
