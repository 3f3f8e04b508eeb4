"""Card images: they survive kill -9 at any moment, belong to one process, and are never overwritten."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from random import Random

import pytest

from apdu.errors import StoreError
from apdu.identity import LifeCycle
from apdu.objects import Kind
from applet_model.backing import MemoryBacking
from applet_model.card import SmartCard
from applet_model.memory_map import MemoryMap, blank_image
from host.card_file import FileBacking
from host.model import CardFile, create_card
from host.session import PurseSession
from tests.applet_model.cards import ISSUER, image_in, purse, session
from tests.issuer import CHIP, NOW, STATIC

ROOT = Path(__file__).resolve().parents[2]
MONEY = 100_000
ROUNDS = 20


def make(path: Path, serial: int, initial: int = 0) -> Path:
    """A purse with room for all that the loop does."""
    FileBacking.create(path, purse(serial, initial, history=1024).image())
    return path


@pytest.fixture
def images(tmp_path: Path) -> tuple[Path, Path]:
    return make(tmp_path / "one", 1, MONEY), make(tmp_path / "other", 2)


def start(*arguments: object) -> subprocess.Popen[bytes]:
    """Run the loop in a process of its own, until it says that it has begun."""
    command = [sys.executable, "-m", "tests.applet_model.transfer_loop", *map(str, arguments)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": "."})
    assert read_lines(process, 1) == [b"ready"]
    return process


def read_lines(process: subprocess.Popen[bytes], count: int) -> list[bytes]:
    assert process.stdout is not None
    return [process.stdout.readline().strip() for _ in range(count)]


def kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.communicate(timeout=120)


def verify_chain(card: PurseSession) -> None:
    """Every record from the first on leads to the chain that the card keeps."""
    chain = sha256(card.card).digest()
    for record in reversed(card.history(1024)):
        chain = sha256(chain + record.encode()).digest()
    assert chain == card.get_counters().chain


def on_the_way(payer: PurseSession, payee: PurseSession) -> int:
    """Money that the payer has given and the payee has not received."""
    got = {record.counter for record in payee.history(1024) if record.kind is Kind.RECEIVED}
    return sum(entry.amount for entry in payer.get_unsettled() if entry.counter not in got)


def assert_consistent(one: Path, other: Path) -> int:
    """Money is conserved and both histories verify; returns the number of the newest record."""
    cards = [CardFile(one), CardFile(other)]
    purses = [session(card) for card in cards]
    for card in purses:
        verify_chain(card)
    moving = on_the_way(*purses) + on_the_way(*purses[::-1])
    assert sum(card.selected.status.balance for card in purses) + moving == MONEY
    record = purses[0].get_counters().record
    for file in cards:
        file.close()
    return record


def test_images_survive_kill_9_at_random_moments(images: tuple[Path, Path]) -> None:
    random, moved = Random(), 0
    for _ in range(ROUNDS):
        process, whole = start(*images), random.randrange(6)
        read_lines(process, whole)
        time.sleep(random.uniform(0, 0.004))
        kill(process)
        moved += whole
        assert assert_consistent(*images) >= moved


class KilledBacking(FileBacking):
    """A process that ends inside a physical write: what it has written stays, nothing follows."""

    left = 0

    def write(self, offset: int, data: bytes) -> None:
        self.left -= 1
        if self.left == 0:
            self._file.seek(offset)
            self._file.write(data[: len(data) // 2])
        if self.left <= 0:
            raise KeyboardInterrupt
        super().write(offset, data)


def pay_until_killed(path: Path, writes: int, payee: PurseSession) -> None:
    """Pay from a card file whose process ends in a write."""
    backing = KilledBacking(path)
    backing.left = 1 << 30
    payer = session(SmartCard(backing))
    requested = payee.request(5, payer.card, NOW)
    backing.left = writes
    try:
        payer.pay(requested, NOW)
    except KeyboardInterrupt:
        pass
    finally:
        backing.close()


@pytest.mark.parametrize("writes", range(1, 6))
def test_an_image_survives_the_end_inside_each_write(images: tuple[Path, Path], writes: int) -> None:
    payee = CardFile(images[1])
    pay_until_killed(images[0], writes, session(payee))
    payee.close()
    assert_consistent(*images)
    again = CardFile(images[0])
    committed = writes > 1
    assert session(again).selected.status.balance == MONEY - 5 * committed
    again.close()


def test_a_second_process_is_refused(images: tuple[Path, Path]) -> None:
    process = start(*images)
    try:
        with pytest.raises(StoreError, match="in use by another process"):
            CardFile(images[0])
    finally:
        kill(process)
    CardFile(images[0]).close()


def test_a_second_opening_is_refused_until_the_first_is_closed(images: tuple[Path, Path]) -> None:
    first = CardFile(images[0])
    with pytest.raises(StoreError, match="in use"):
        CardFile(images[0])
    first.close()
    CardFile(images[0]).close()


posix_only = pytest.mark.skipif(os.name != "posix", reason="links need a privilege on Windows")


@posix_only
@pytest.mark.parametrize("folder", [False, True])
def test_a_link_is_the_same_card(images: tuple[Path, Path], folder: bool) -> None:
    link = images[0].parent / "link"
    link.symlink_to(images[0].parent if folder else images[0])
    name = link / images[0].name if folder else link
    for one, other in ((images[0], name), (name, images[0])):
        first = CardFile(one)
        with pytest.raises(StoreError, match="in use by another process"):
            CardFile(other)
        first.close()


@posix_only
def test_a_hard_link_is_refused_until_there_is_one_name(images: tuple[Path, Path]) -> None:
    second = images[0].with_name(".one.copy")
    second.hardlink_to(images[0])
    for name in (images[0], second):
        with pytest.raises(StoreError, match="second name"):
            CardFile(name)
    second.unlink()
    CardFile(images[0]).close()


@posix_only
def test_the_name_that_an_interrupted_making_leaves_is_removed(images: tuple[Path, Path]) -> None:
    leftover, strange = images[0].with_name(".one.abcd1234"), images[0].with_name(".one.abcd1235")
    leftover.hardlink_to(images[0])
    strange.write_bytes(b"of another making")
    CardFile(images[0]).close()
    assert (leftover.exists(), strange.exists()) == (False, True)


@posix_only
def test_a_link_in_a_circle_is_told(tmp_path: Path) -> None:
    (tmp_path / "card").symlink_to(tmp_path / "card")
    with pytest.raises(StoreError, match="symbolic links"):
        CardFile(tmp_path / "card")


def test_what_is_written_is_there_after_closing(images: tuple[Path, Path]) -> None:
    card = CardFile(images[1])
    session(card).request(5, ISSUER.id(1), NOW)
    card.close()
    again = CardFile(images[1])
    assert session(again).get_counters().requests == 1
    again.close()


def test_a_card_is_never_overwritten(images: tuple[Path, Path]) -> None:
    before = images[0].read_bytes()
    with pytest.raises(StoreError, match="already"):
        create_card(images[0], CHIP, 16, 4)
    assert images[0].read_bytes() == before
    assert [path for path in images[0].parent.iterdir() if path.suffix != ".lock"] == [*images]


def test_a_new_image_is_its_owners_alone(tmp_path: Path) -> None:
    create_card(tmp_path / "card", CHIP, 16, 4)
    assert (tmp_path / "card").read_bytes() == blank_image(CHIP, 16, 4)
    if os.name == "posix":
        assert (tmp_path / "card").stat().st_mode & 0o777 == 0o600


def test_creating_where_there_is_no_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="No such file"):
        create_card(tmp_path / "gone" / "card", CHIP, 16, 4)


def test_a_missing_image_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="saifu personalize blank"):
        CardFile(tmp_path / "gone")


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "not an image": lambda image: b"PK\x03\x04" + image[4:],
    "of an earlier version": lambda image: image[:10] + b"\x01" + image[11:],
    "of a later version": lambda image: image[:10] + b"\x03" + image[11:],
    "head alone": lambda image: image[:16],
    "a byte short": lambda image: image[:-1],
    "a byte long": lambda image: image + b"\0",
    "other capacities": lambda image: image[:11] + b"\xff\xff" + image[13:],
    "no records": lambda image: image[:11] + b"\0\0" + image[13:],
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_image_is_refused(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "card"
    path.write_bytes(DAMAGE[damage](image_in(LifeCycle.ACTIVE)))
    with pytest.raises(StoreError, match=r"card image"):
        CardFile(path)
    path.write_bytes(image_in(LifeCycle.ACTIVE))
    CardFile(path).close()


@pytest.mark.parametrize(
    ("version", "way"), [(1, "deposit the card's money with the saifu that made it"), (3, "newer")]
)
def test_an_image_of_another_version_says_how_to_go_on(tmp_path: Path, version: int, way: str) -> None:
    path = tmp_path / "card"
    image = image_in(LifeCycle.ACTIVE)
    path.write_bytes(image[:10] + bytes((version,)) + image[11:])
    with pytest.raises(StoreError, match=rf"is of version {version}.*{way}"):
        CardFile(path)
    assert path.read_bytes()[10] == version


def test_an_image_in_no_known_state_is_refused() -> None:
    image = bytearray(image_in(LifeCycle.ACTIVE))
    image[MemoryMap.open(MemoryBacking(bytes(image))).life_cycle.offset] = 0x77
    with pytest.raises(StoreError, match="card image"):
        session(SmartCard(MemoryBacking(bytes(image))))


def test_a_snapshot_is_a_copy() -> None:
    backing = MemoryBacking(b"abc")
    before = backing.image()
    backing.write(1, b"X")
    assert (before, backing.image(), backing.read(1, 2)) == (b"abc", b"aXc", b"Xc")


@pytest.mark.parametrize(("history", "unsettled"), [(7, 4), (1025, 4), (16, 0), (16, 9)])
def test_capacities_out_of_range_make_no_card(history: int, unsettled: int) -> None:
    with pytest.raises(ValueError, match="out of range"):
        blank_image(CHIP, history, unsettled)


@pytest.mark.parametrize("chain", [0, 726, 0x10000])
def test_a_chain_carries_the_longest_proof_and_can_be_told(chain: int) -> None:
    with pytest.raises(ValueError, match="out of range"):
        blank_image(CHIP, 16, 4, chain)


def test_a_persons_card_fits_a_java_card() -> None:
    assert len(blank_image(CHIP, 200, 4)) <= 16 * 1024
    assert STATIC.enc in blank_image(CHIP, 200, 4)
