"""A personalization bureau for tests: a real center, a master key, blank images, and a hand with kill -9."""

import os
import shutil
import signal
import sys
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from apdu.identity import LifeCycle
from applet_model.backing import MemoryBacking
from applet_model.memory_map import SCP_TRIES, MemoryMap
from center.center import Center
from host.card_file import FileBacking
from host.connection import CardSlot
from host.model import ModelSlot
from host.scp03 import StaticKeys
from host.session import PurseSession, pin_block
from personalization.batch import Batch, Line
from personalization.card_keys import CardKeys, derived
from personalization.journal import Journal
from personalization.keystore import MasterKey
from personalization.one import Letter, create_blank
from personalization.orders import Order, OrderList
from personalization.profile import Profile
from tests.center.bank import Bank

__all__ = ["KEYS", "MASTER", "TRANSPORT", "Bureau", "has_issuer_keys", "keys_in", "kill_at", "posix_only", "tries"]

MASTER = MasterKey("cards", 1, "sp800-108", bytes(range(16)))
TRANSPORT = derived(MasterKey("maker", 255, "an10922", bytes(range(0x80, 0x90))))
"""The keys with which blank cards come: secret, and each card has its own."""
KEYS = CardKeys(MASTER, TRANSPORT)
posix_only = pytest.mark.skipif(not hasattr(os, "fork"), reason="kill -9 is POSIX")

_ACTS = {"open", "os.chmod", "os.link", "os.mkdir", "os.remove", "os.rename", "os.truncate", "sqlite3.connect"}


def _cells(image: Path) -> MemoryMap:
    return MemoryMap.open(MemoryBacking(image.read_bytes()))


def tries(image: Path) -> int:
    """Openings of the secure channel that a card still allows."""
    return _cells(image).scp_tries.number()


def keys_in(image: Path) -> tuple[int, StaticKeys]:
    """Key version and static keys of a card."""
    cells = _cells(image)
    size = cells.key_size.number()
    places = (cells.static_enc, cells.static_mac, cells.static_dek)
    return cells.key_version.number(), StaticKeys(*(place.get()[:size] for place in places))


def has_issuer_keys(image: Path, master: MasterKey = MASTER) -> bool:
    """Whether a card has the keys that a master key gives to it, and all its tries."""
    chip = _cells(image).diversification.get()
    return keys_in(image) == (master.version, derived(master)(chip)) and tries(image) == SCP_TRIES


class Bureau:
    """Everything in one folder: center, orders, journal, images, and the letters as lines of a file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bank = Bank(folder / "center")
        self.center: Center = self.bank.center
        self.orders, self.cards, self.letters = folder / "orders.csv", folder / "cards", folder / "letters"
        self.profile = Profile.load("person", self.center.unit)

    @property
    def journal(self) -> Path:
        return self.folder / "journal"

    def order(self, *rows: str) -> OrderList:
        """Write an order list of these rows, and read it."""
        self.orders.write_text("\n".join(("holder,pin", *rows)) + "\n", "utf-8")
        return OrderList.load(self.orders)

    def slot_for(self, order: Order) -> CardSlot:
        path = self.cards / order.file
        if not path.exists():
            self.cards.mkdir(exist_ok=True)
            create_blank(path, TRANSPORT, self.profile)
        return ModelSlot(str(path), path=path)

    def deliver(self, letter: Letter) -> None:
        with self.letters.open("a") as file:
            file.write(f"{letter.card} {letter.pin}\n")
            os.fsync(file.fileno())

    def run(self, keys: CardKeys = KEYS) -> list[Line]:
        """Run the batch from where it is."""
        orders = OrderList.load(self.orders)
        with Journal(self.journal, orders) as journal:
            return list(Batch(orders, self.profile, keys, self.center, journal).run(self.slot_for, self.deliver))

    def check_made(self) -> None:
        """Every row has one card, which is its own, active, and opens with the PIN of its last letter."""
        lines = self.run()
        assert all(line.earlier for line in lines)
        cards = [line.card for line in lines]
        assert len(set(cards)) == len(cards) == len(OrderList.load(self.orders).orders)
        assert sorted(path.name for path in self.cards.glob("*.card")) == sorted(line.order.file for line in lines)
        pins = dict(text.split() for text in self.letters.read_text().splitlines())
        for line in lines:
            slot = ModelSlot("check", path=self.cards / line.order.file)
            session = PurseSession(slot.connect())
            assert (session.card, session.selected.status.state) == (line.card, LifeCycle.ACTIVE)
            assert line.order.pin in (None, pins[line.card.text])
            assert has_issuer_keys(self.cards / line.order.file)
            session.verify(pin_block(pins[line.card.text]))
            self.bank.center.trust.certified(session.get_certificate())
            slot.close()

    def copy(self, folder: Path) -> "Bureau":
        """The same bureau in another folder, as it is now."""
        shutil.copytree(self.folder, folder)
        other = object.__new__(Bureau)
        other.__dict__.update(self.__dict__, folder=folder)
        clock, witness = lambda: self.bank.time, folder / self.bank.witness.name
        other.center = Center(folder / "center", self.center.keys, clock, witness)
        other.center.close()  # no connection of this process's goes over into the next
        other.orders, other.cards, other.letters = folder / "orders.csv", folder / "cards", folder / "letters"
        return other


def kill_at(act: int, folder: Path, work: Callable[[], object]) -> bool:
    """Do ``work`` in a process of its own, and kill -9 it before its ``act``-th act on the files of a folder.

    An act is: to open, rename, link, remove, to wait for the disk, to write a card's memory. Returns whether the
    process was killed; False says that the work was done before.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # pytest's workers have threads; the child needs none
        child = os.fork()
    if child:
        status = os.waitpid(child, 0)[1]
        assert status in (0, signal.SIGKILL), "the work failed by itself"
        return status != 0
    try:
        _count_down(act, str(folder))
        work()
        os._exit(0)
    except BaseException:  # whatever it was, this process must not go on as the test
        traceback.print_exc()
        os._exit(1)


def _count_down(act: int, folder: str) -> None:
    left = act

    def count() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event in _ACTS and any(folder in str(argument) for argument in arguments):
            count()

    def counted(before: Callable[..., object]) -> Callable[..., object]:
        def act(*arguments: object) -> object:
            count()
            return before(*arguments)

        return act

    sys.addaudithook(hook)
    os.fsync = counted(os.fsync)  # type: ignore[assignment]  # only in the process that is going to be killed
    FileBacking.write = counted(FileBacking.write)  # type: ignore[method-assign,assignment]  # as above
